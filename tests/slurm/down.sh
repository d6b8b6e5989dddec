#!/usr/bin/env bash
# Stop the daemons that up.sh started, by their recorded processes; their jobs are cancelled first.
set -uo pipefail
DIR=${SLURM_TEST_DIR:-/tmp/scaling-slurm-$(id -u)}
[ -d "$DIR/pid" ] || exit 0
export SLURM_CONF=$DIR/slurm.conf PATH=/usr/sbin:/usr/bin:/sbin:/bin:$PATH
if timeout 5 sinfo -h >/dev/null 2>&1; then
  squeue -h -o %A 2>/dev/null | sort -u | xargs -r -n 50 timeout 10 scancel 2>/dev/null
  for _ in $(seq 100); do [ -n "$(timeout 5 squeue -h -t R,CG 2>/dev/null)" ] || break; sleep 0.1; done
fi
for file in "$DIR"/pid/slurmd-* "$DIR"/pid/slurmctld "$DIR"/pid/munged; do
  pid=$(cat "$file" 2>/dev/null) || continue
  if tr '\0' '\n' <"/proc/$pid/cmdline" 2>/dev/null | grep -qF -- "$DIR/"; then
    kill -TERM "$pid" 2>/dev/null
    for _ in $(seq 200); do [ -d "/proc/$pid" ] || break; sleep 0.05; done
    kill -KILL "$pid" 2>/dev/null
  fi
  rm -f "$file"
done
exit 0
