#!/usr/bin/env bash
# Start a real SLURM on this one machine for the tests: virtual nodes with fake GPUs, two partitions
# of which one is preempted by the other. Nothing is written outside $SLURM_TEST_DIR; no systemd, no
# root needed (then only this user can run jobs). Call it again: it restarts only what is missing.
#
#   apt-get install -y --no-install-recommends slurmctld slurmd slurm-client munge
#   tests/slurm/up.sh && . /tmp/scaling-slurm-$(id -u)/env.sh && sinfo
#   tests/slurm/down.sh
#
#   SLURM_TEST_DIR     folder of the cluster; short, it holds a unix socket
#   SLURM_TEST_NODES   virtual nodes (4); SLURM_TEST_CPUS (4), SLURM_TEST_GPUS (2) of each
#   SLURM_TEST_SACCT   shim: sacct answers from squeue; none: sacct is disabled, as on many clusters
#   SLURM_TEST_SIGNAL  1: preemption sends the user's signal first (1); 0: SIGTERM only
#   SLURM_TEST_PORT    first of the ports (27817)
set -euo pipefail

DIR=${SLURM_TEST_DIR:-/tmp/scaling-slurm-$(id -u)}
NODES=${SLURM_TEST_NODES:-4} CPUS=${SLURM_TEST_CPUS:-4} GPUS=${SLURM_TEST_GPUS:-2}
SACCT=${SLURM_TEST_SACCT:-shim} SIGNAL=${SLURM_TEST_SIGNAL:-1} PORT=${SLURM_TEST_PORT:-27817}
HERE=$(dirname "$(readlink -f "$0")")
export PATH=/usr/sbin:/usr/bin:/sbin:/bin:$PATH
die() { echo "slurm: $*" >&2; exit 1; }
for program in munged slurmctld slurmd sinfo; do
  command -v $program >/dev/null \
    || die "$program is missing: apt-get install -y --no-install-recommends slurmctld slurmd slurm-client munge"
done
mkdir -p "$DIR"/{munge,sock,state,spool,log,pid,bin,dev}
chmod 755 "$DIR" "$DIR/sock"; chmod 700 "$DIR/munge"
exec 9>"$DIR/lock"; flock -w 60 9 || die "another start is under way"

is_alive() {  # NAME TEXT: the recorded process still is the program we started
  local pid; pid=$(cat "$DIR/pid/$1" 2>/dev/null) || return 1
  [ -n "$pid" ] && tr '\0' ' ' <"/proc/$pid/cmdline" 2>/dev/null | grep -q -- "$2"
}
start() {  # NAME COMMAND...: in the foreground mode of the daemon, detached
  local name=$1; shift
  setsid "$@" </dev/null >>"$DIR/log/$name.out" 2>&1 9>&- &
  echo $! >"$DIR/pid/$name"
}

KEY=$DIR/munge/key SOCKET=$DIR/sock/munge
# Where the host's name is exactly 127.0.0.1 the daemons can be kept on the loopback interface.
ADDRESS=$(getent ahostsv4 "$(hostname)" 2>/dev/null | awk 'NR==1{print $1}' || true)
COMMUNICATION="CommunicationParameters=NoCtldInAddrAny,NoInAddrAny"
[ "$ADDRESS" = 127.0.0.1 ] || { ADDRESS=127.0.0.1; COMMUNICATION="# all interfaces"; }
[ -s "$DIR/first_job" ] || echo $(( ($(date +%s) % 600000) * 100 + 1 )) >"$DIR/first_job"
for i in $(seq 0 $((GPUS - 1))); do ln -sfn /dev/null "$DIR/dev/nvidia$i"; done
printf 'AutoDetect=off\nName=gpu File=%s\n' "$DIR/dev/nvidia[0-$((GPUS - 1))]" >"$DIR/gres.conf"
PARAMETERS="SlurmctldParameters=preempt_send_user_signal"
[ "$SIGNAL" = 1 ] || PARAMETERS="# preemption sends SIGTERM only"
cat >"$DIR/slurm.conf.new" <<CONF
ClusterName=test
SlurmctldHost=$(hostname -s)($ADDRESS)
SlurmctldPort=$PORT
SlurmUser=$(id -un)
SlurmdUser=$(id -un)
AuthType=auth/munge
# cred_expire is also how long a requeued job waits before it may start again; less is refused
AuthInfo=socket=$SOCKET,cred_expire=5
$COMMUNICATION
StateSaveLocation=$DIR/state
SlurmdSpoolDir=$DIR/spool/%n
SlurmctldPidFile=$DIR/state/slurmctld.pid
SlurmdPidFile=$DIR/spool/slurmd-%n.pid
SlurmctldLogFile=$DIR/log/slurmctld.log
SlurmdLogFile=$DIR/log/slurmd-%n.log
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
JobAcctGatherType=jobacct_gather/none
MpiDefault=none
MailProg=/bin/true
SwitchType=switch/none
SelectType=select/cons_tres
SelectTypeParameters=CR_CPU_Memory
SlurmdParameters=config_overrides
$PARAMETERS
PreemptType=preempt/partition_prio
PreemptMode=REQUEUE
JobRequeue=1
EnforcePartLimits=ALL
ReturnToService=2
MaxArraySize=11
MaxJobCount=20000
MinJobAge=600
# ids differ from cluster to cluster: submitit finds results by job id only
FirstJobId=$(cat "$DIR/first_job")
KillWait=5
CompleteWait=0
InactiveLimit=0
SlurmctldTimeout=30
SlurmdTimeout=10
MessageTimeout=10
TCPTimeout=2
SchedulerType=sched/backfill
SchedulerParameters=batch_sched_delay=0,sched_interval=1,bf_interval=1,bf_continue
PriorityType=priority/basic
AccountingStorageType=accounting_storage/none
GresTypes=gpu
# Nodes are named 127.0.0.n: all of 127/8 is loopback, so the first name serves as MASTER_ADDR.
NodeName=127.0.0.[1-$NODES] NodeHostname=localhost NodeAddr=$ADDRESS Port=[$((PORT + 11))-$((PORT + 10 + NODES))] CPUs=$CPUS RealMemory=8000 Gres=gpu:$GPUS State=UNKNOWN
PartitionName=DEFAULT Nodes=ALL State=UP MaxTime=INFINITE DefaultTime=10 DefMemPerCPU=100 OverSubscribe=NO
PartitionName=cpu Default=YES PriorityTier=10 PreemptMode=OFF
PartitionName=preempt PriorityTier=1 PreemptMode=REQUEUE GraceTime=20
CONF
# From 23.11 on slurmd insists on a plugin unless told not to.
version=$(slurmd -V | grep -oE '[0-9]+\.[0-9]+' | head -1 | tr -d .)
[ "$version" -lt 2311 ] || echo CgroupPlugin=disabled >"$DIR/cgroup.conf"
changed=0; cmp -s "$DIR/slurm.conf.new" "$DIR/slurm.conf" || changed=1
mv "$DIR/slurm.conf.new" "$DIR/slurm.conf"
[ $changed = 0 ] || SLURM_TEST_DIR=$DIR "$HERE/down.sh"

[ -s "$KEY" ] || (umask 077; head -c 128 /dev/urandom >"$KEY")
if ! is_alive munged "$SOCKET"; then
  rm -f "$SOCKET" "$SOCKET.lock"
  start munged munged --foreground --force --key-file="$KEY" --socket="$SOCKET" --num-threads=2 \
    --pid-file="$DIR/munge/pid" --log-file="$DIR/munge/log" --seed-file="$DIR/munge/seed"
  for _ in $(seq 100); do munge -n -S "$SOCKET" >/dev/null 2>&1 && break; sleep 0.05; done
  munge -n -S "$SOCKET" >/dev/null || die "munged did not come up: $(tail -n 3 "$DIR/munge/log")"
fi

# Wrappers, because submitit removes every SLURM_* variable, SLURM_CONF among them.
for program in sbatch srun scancel scontrol squeue sinfo sacct; do
  printf '#!/bin/sh\nSLURM_CONF=%s exec /usr/bin/%s "$@"\n' "$DIR/slurm.conf" $program \
    >"$DIR/bin/$program"
  chmod 755 "$DIR/bin/$program"
done
if [ "$SACCT" = shim ]; then
  cat >"$DIR/bin/sacct" <<SHIM
#!/bin/bash
# sacct -o JobID,State,NodeList --parsable2 -j ID ..., answered from the controller's memory.
ids=
while [ \$# -gt 0 ]; do case \$1 in
  -j) ids=\$ids,\$2; shift 2;; -j*) ids=\$ids,\${1#-j}; shift;; -o) shift 2;; *) shift;; esac; done
echo 'JobID|State|NodeList'
SLURM_CONF=$DIR/slurm.conf /usr/bin/squeue --noheader --array --states=all \\
  \${ids:+--jobs="\${ids#,}"} --format='%i|%T|%N' 2>/dev/null || true
SHIM
fi
printf 'export SLURM_CONF=%s\nexport PATH=%s:$PATH\n' "$DIR/slurm.conf" "$DIR/bin" >"$DIR/env.sh"
export SLURM_CONF=$DIR/slurm.conf

is_alive slurmctld "$DIR/slurm.conf" || start slurmctld slurmctld -D -f "$DIR/slurm.conf"
for i in $(seq "$NODES"); do
  mkdir -p "$DIR/spool/127.0.0.$i"
  is_alive "slurmd-$i" "$DIR/slurm.conf -N 127.0.0.$i " \
    || start "slurmd-$i" slurmd -D -f "$DIR/slurm.conf" -N "127.0.0.$i"
done
for try in $(seq 300); do
  up=$(sinfo -h -N -p cpu -o %t 2>/dev/null | grep -cxE 'idle|mix|alloc|comp' || true)
  [ "$up" != "$NODES" ] || { echo "slurm: $NODES nodes are ready; . $DIR/env.sh"; exit 0; }
  is_alive slurmctld "$DIR/slurm.conf" || die "slurmctld died: $(tail -n 5 "$DIR/log/slurmctld.log")"
  if [ $((try % 20)) = 0 ]; then  # held down by an earlier test: put back
    for node in $(sinfo -h -N -p cpu -t down,drain,fail -o %N 2>/dev/null | sort -u); do
      scontrol update NodeName="$node" State=RESUME 2>/dev/null || true
    done
  fi
  sleep 0.1
done
die "not all nodes came up; logs are in $DIR/log"
