"""A worker claims run after run of a launch until none is left.

There is no queue: the run folders are the queue, and claims keep workers apart, so any number of
workers of any number of launches, on any hosts, may work on one study. A worker imports the
trainer, and with it torch and Lightning, once. As a process:

    python -m sweeps.worker <launch's folder> <class of runs> <seconds> [<launcher's pid>]

`seconds` is its time limit, or "inf". Under SLURM the same function runs inside submitit's job.
"""

from __future__ import annotations

import importlib
import math
import os
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from scaling.config import ExecutionConfig
from scaling.records import machine
from scaling.records.claim import Claim
from scaling.records.describe import trainer_of
from sweeps import scheduler
from sweeps.launches import Launch, pack_size, read_launch
from sweeps.memory_limits import Limit, MemoryLimits
from sweeps.packs import companions, pack_of, vanished_pack
from sweeps.retry import got_somewhere, most_members, tripped, verdict
from sweeps.state import WAITING, StoredPlan, StoredRun, states
from sweeps.stop import StopFlag

POLL_SECONDS = 0.2
MAX_POLL_SECONDS = 5.0
LOOKS_APART = 20  # an idle worker rests so many times as long as a look at all runs took
BAD_LUCK = 2  # failures of the machinery in a row after which a worker leaves
UNFIT = 1  # exit code: a pool replaces the worker, SLURM's task has failed
IDLE_LIVES = 20  # times that a job may be requeued when it came to nothing
TRY_AGAIN_LATER = 75  # exit code (EX_TEMPFAIL): work is left and the scheduler did not take us back


class Worker:
    """Trains runs of one class of a launch.

    Parameters
    ----------
    launch : Launch
        What to do.
    kind : str
        Name of the resource class.
    should_stop : callable
        Asked between chunks and between runs.
    until : float
        When no further run is begun, by ``time.monotonic``.
    say : callable
        Where its log goes.
    """

    def __init__(
        self, launch: Launch, kind: str, should_stop: Callable[[], bool],
        until: float = float("inf"), say: Callable[[str], None] = lambda text: None,
    ) -> None:
        self.launch, self.kind, self.until, self.say = launch, kind, until, say
        self.should_stop = lambda: should_stop() or launch.is_cancelled()
        self.trained = self.bad_luck = 0
        self.plan = launch.plan()
        self.limits = MemoryLimits(self.plan.execution.device)
        self.finished: set[str] = set()

    def work(self) -> str:
        """Until there is nothing to do.

        Returns
        -------
        str
            "finished"; "idle" (others train what is left); "stopped"; "limit" (of time);
            "tripped" (the launch must not go on); "unfit" (this process or node cannot train).
        """
        pause, idle_since = POLL_SECONDS, time.monotonic()
        idle_seconds = self.launch.config.idle_seconds or float("inf")
        while not self.should_stop():
            began = time.monotonic()
            # Not before the first run: a life that is too short for anything must show as attempts
            # without progress, not as a job that returns to the queue for ever.
            if self.trained and time.monotonic() > self.until:
                return "limit"
            if self.bad_luck >= BAD_LUCK:
                return "unfit"
            self.launch = read_launch(self.launch.folder)
            plan = self.plan = self.launch.plan()
            if self._is_tripped(plan.runs):
                return "tripped"
            look = self._look([r for r in plan.runs if r.folder.run_id not in self.finished])
            self.finished |= look.finished
            claims = _claim(self._canaries(plan.runs, look.ready), plan.execution.lease_seconds,
                            self._size)
            if claims:
                self._train(claims, plan)
                pause, idle_since = POLL_SECONDS, time.monotonic()
            elif not look.ready and not look.waits:
                return "finished"
            elif time.monotonic() - idle_since > idle_seconds:
                return "idle"
            else:
                # What others train may free a branch, or be left behind. Hundreds of idle workers
                # that look at thousands of runs would keep a file server busy.
                self._rest(max(pause, LOOKS_APART * (time.monotonic() - began)))
                pause = min(2 * pause, MAX_POLL_SECONDS)
        return "stopped"

    def _rest(self, seconds: float) -> None:
        """Sleep, unless asked to stop."""
        end = time.monotonic() + seconds
        while (left := end - time.monotonic()) > 0 and not self.should_stop():
            time.sleep(min(left, 1.0))

    def has_work(self) -> bool:
        """Whether a run of its class is still to be trained in this launch."""
        look = self._look(self.launch.plan().runs)
        return bool(look.ready) or look.waits - {"running"} != set()

    def has_claimed(self, job: str) -> bool:
        """Whether an earlier life of a SLURM job began any run of the launch."""
        folders = (r.folder for r in self.launch.plan().runs)
        return any((f.attempt(n).owner.get("job") or [None])[0] == job
                   for f in folders for n in f.attempt_numbers())

    def _look(self, runs: list[StoredRun]) -> Look:
        """What there is to do now; each verdict is asked for once."""
        verdicts: dict[str, str] = {}

        def gave_up(run: StoredRun) -> bool:
            run_id = run.folder.run_id
            # A run that this launch was not asked to train will not come: nothing waits for it.
            asked = run_id in self.launch.classes
            when = verdict(run.folder, self.launch.launched).when if asked else "never"
            verdicts[run_id] = when
            return when == "never"

        current = states(runs, gave_up)
        own = {i: s for i, s in current.items() if self.launch.classes.get(i) == self.kind}
        begin = [r for r in runs if own.get(r.folder.run_id) in WAITING]
        now = [r for r in begin if verdicts[r.folder.run_id] == "now"]
        ready = _without_survivors(now, [r for r in runs if own.get(r.folder.run_id) == "running"])
        return Look(
            ready=ready,
            waits={s for s in own.values() if s in ("running", "blocked")}
            | ({"later"} if len(ready) < len(begin) else set()),
            finished={i for i, s in current.items() if s in ("done", "diverged")},
        )

    def _train(self, claims: list[Claim], plan: StoredPlan) -> None:
        pins = {run.folder.run_id: run.pins for run in plan.runs}
        names = ", ".join(f"{c.folder.run_id} (attempt {c.number})" for c in claims)
        self.say(f"trains {names}")
        self.trained += 1
        try:
            train = _trainer(trainer_of(claims[0].folder.description()["science"], plan.execution))
        except Exception as error:  # a library that is missing is a failure of the run: it is told
            for claim in claims:
                claim.release("failed", error)
            return
        outcome = train(claims, pins, self._execution(claims[0], plan), self.should_stop)
        self.say(f"{outcome}: {names}")
        self._judge_this_process(claims[0])

    def _execution(self, claim: Claim, plan: StoredPlan) -> ExecutionConfig:
        """How a run, or its pack, is executed: with no more at once than memory has held."""
        (run,) = (r for r in plan.runs if r.folder.run_id == claim.folder.run_id)
        most = self._limit(run).micro_batch
        if most >= (plan.execution.micro_batch or math.inf):
            return plan.execution
        self.say(f"micro-batch {most}: a run of this shape ran out of memory with more")
        return replace(plan.execution, micro_batch=int(most))

    def _judge_this_process(self, claim: Claim) -> None:
        """Two failures of the machinery in a row, or one of the device, and it is best to leave.

        A device that has met an illegal access fails every run that comes after it here.
        """
        end = claim.folder.attempt(claim.number).end or {}
        if "CUDA error" in end.get("error", ""):
            self.bad_luck = BAD_LUCK
        elif end.get("class") == "infra":
            self.bad_luck += 1
        else:
            self.bad_luck = 0

    def _canaries(self, runs: list[StoredRun], ready: list[StoredRun]) -> list[StoredRun]:
        """The runs that may be begun: a few packs until one of the launch has got somewhere."""
        allowed = self.launch.config.canary
        mine = [r for r in runs if r.folder.run_id in self.launch.classes]
        if not allowed or not ready or got_somewhere(mine, self.launch.launched):
            return ready
        busy = {pack_of(r.folder) for r in mine if r.folder.state() == "running"}
        size = self._size(ready[0])
        return companions(ready, size)[:size] if len(busy) < allowed else []

    def _size(self, run: StoredRun) -> int:
        """How many runs may train together with one of these."""
        size = pack_size(self.launch.config, run)
        return size if size == 1 else int(min(size, self._limit(run).members))

    def _limit(self, run: StoredRun) -> Limit:
        """What memory is known to hold of a run, by those of its shape in this launch."""
        return self.limits.of(run, self.plan.runs, self.launch.launched)

    def _is_tripped(self, runs: list[StoredRun]) -> bool:
        mine = [r for r in runs if r.folder.run_id in self.launch.classes]
        why = tripped(mine, self.launch.launched, bool(self.launch.config.canary))
        if why is not None:
            self.say(f"stops: {why}")
        return why is not None


@dataclass(frozen=True)
class Look:
    """What a worker sees: runs to begin, what else it may wait for, and what is finished."""

    ready: list[StoredRun]
    waits: set[str]
    finished: set[str]


def _trainer(name: str) -> Callable[..., Any]:
    """A trainer by its name: only here does a sweep meet torch."""
    module, _, name = name.partition(":")
    return getattr(importlib.import_module(module), name)


def _without_survivors(ready: list[StoredRun], running: list[StoredRun]) -> list[StoredRun]:
    """Ready runs but those of a pack that vanished and whose other members' leases still hold.

    One process beats for all: what one of its leases says of it, the others will say soon.
    """
    vanished = {r.folder.run_id: vanished_pack(r.folder) for r in ready if r.kind is not None}
    if not any(vanished.values()):
        return ready
    held = {pack_of(r.folder) for r in running}
    return [r for r in ready if vanished.get(r.folder.run_id) not in held]


def _claim(
    ready: list[StoredRun], lease_seconds: float, size: Callable[[StoredRun], int]
) -> list[Claim]:
    """Claim the first ready run that nobody else takes, and others that fit into its pack."""
    while ready:
        if ready[0].folder.state() in ("running", "done", "diverged"):  # another was faster
            ready = ready[1:]
            continue
        most: float = size(ready[0])
        claims: list[Claim] = []
        for run in companions(ready, size(ready[0])):
            most = min(most, most_members(run.folder))
            if len(claims) >= most:
                break
            claim = Claim.acquire(run.folder, lease_seconds)
            if claim is not None:
                claims.append(claim)
            elif run is ready[0]:
                break
        if claims:
            return claims
        ready = ready[1:]
    return []


def _log(text: str) -> None:
    print(f"{time.strftime('%Y-%m-%d %H:%M:%S')} {machine.node()} {os.getpid()} {text}", flush=True)


def main(arguments: list[str]) -> None:
    """Entry point of a worker process."""
    folder, kind, seconds, *launcher = arguments
    stop = StopFlag(int(launcher[0]) if launcher else None)
    stop.install()
    launch = read_launch(Path(folder))
    worker = Worker(launch, kind, stop, time.monotonic() + float(seconds), _log)
    outcome = worker.work()
    _log(f"leaves: {outcome}")
    job = machine.slurm_job()
    if outcome == "unfit":
        sys.exit(UNFIT)
    if job is None or outcome in ("finished", "idle", "tripped") or launch.is_cancelled():
        return
    if job[1] >= IDLE_LIVES and not worker.trained and not worker.has_claimed(job[0]):
        _log(f"does not return: {job[1]} times the limit came before anything could be begun")
    elif worker.has_work() and not _requeue(job[0], stop):
        sys.exit(TRY_AGAIN_LATER)


def _requeue(job: str, stop: StopFlag) -> bool:
    """Put this job back into SLURM's queue: chains past the time limit, life after preemption.

    A job that a person has cancelled is not brought back: SLURM says so with the same SIGTERM as
    it sends before it preempts, but then the job is no longer running.
    """
    if not stop.warned and stop.raised and scheduler.state_of(job) != "RUNNING":
        return True
    return scheduler.requeue(job)


if __name__ == "__main__":
    main(sys.argv[1:])
