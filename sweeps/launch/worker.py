"""A worker claims run after run of a launch until none is left.

The run folders are the queue, and a claim gives a run to one worker. So any number of workers of
any number of launches, on any hosts, may work on one study. A worker imports the trainer, and with
it torch and Lightning, once. As a process:

    python -m scalinglab.sweeps.launch.worker FOLDER CLASS SECONDS [PID]

FOLDER is the launch's, CLASS the class of runs, SECONDS the time limit or "inf", PID the launcher's
process. Under SLURM the same function runs inside submitit's job.
"""

from __future__ import annotations

import importlib
import math
import os
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

from scalinglab.scaling.config import ExecutionConfig
from scalinglab.scaling.errors import ConfigError
from scalinglab.scaling.extensions.handing_on import load_inherited
from scalinglab.scaling.records import machine
from scalinglab.scaling.records.claim import Claim
from scalinglab.scaling.records.damage import DamagedFile
from scalinglab.scaling.records.failures import FailureClass
from scalinglab.scaling.records.state import FINISHED, Outcome, State
from scalinglab.sweeps.launch import scheduler
from scalinglab.sweeps.launch.retry import most_members
from scalinglab.sweeps.launch.stop_flag import StopFlag
from scalinglab.sweeps.launch.work_list import WorkList
from scalinglab.sweeps.store.launch_record import Launch, read_launch
from scalinglab.sweeps.store.packs import companions
from scalinglab.sweeps.store.state import LOOKS_APART
from scalinglab.sweeps.store.stored_plan import StoredRun

POLL_SECONDS = 0.2
MAX_POLL_SECONDS = 5.0
INFRA_FAILURES = 2  # infrastructure failures in a row after which a worker leaves
UNFIT = 1  # exit code: a pool replaces the worker, a task of SLURM has failed
IDLE_LIVES = 20  # times that a job may be requeued without having begun a run
TRY_AGAIN_LATER = 75  # exit code (EX_TEMPFAIL): work is left and the job was not requeued


class Worker:
    """Trains runs of one class of a launch.

    Parameters
    ----------
    launch : Launch
        The launch whose runs it trains.
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
        self,
        launch: Launch,
        kind: str,
        should_stop: Callable[[], bool],
        until: float = float("inf"),
        say: Callable[[str], None] = lambda text: None,
    ) -> None:
        self.list = WorkList(launch, kind)
        self.until, self.say = until, say
        self.should_stop = lambda: should_stop() or launch.is_cancelled()
        self.trained = self.infra_failures = 0

    def work(self) -> str:
        """Train until there is nothing left to do.

        Returns
        -------
        str
            "finished"; "idle" (others train the remaining runs); "stopped"; "limit" (of time);
            "tripped" (the launch must not continue); "unfit" (this process or node cannot train).
        """
        pause, idle_since = POLL_SECONDS, time.monotonic()
        idle_seconds = self.list.launch.config.idle_seconds or float("inf")
        while not self.should_stop():
            began = time.monotonic()
            # Not before the first run: a job too short for any run must leave attempts without
            # progress, which are counted, and not return to the queue for ever.
            if self.trained and time.monotonic() > self.until:
                return "limit"
            if self.infra_failures >= INFRA_FAILURES:
                return "unfit"
            self.list.reload()
            reason = self.list.why_tripped()
            if reason is not None:
                self.say(f"stops: {reason}")
                return "tripped"
            look = self.list.look()
            claims = _claim(
                self.list.canaries(look.ready),
                self.list.plan.execution.lease_seconds,
                self.list.size,
            )
            if claims:
                self._train(claims)
                pause, idle_since = POLL_SECONDS, time.monotonic()
            elif not look.ready and not look.waits:
                return "finished"
            elif time.monotonic() - idle_since > idle_seconds:
                return "idle"
            else:
                # Runs of other workers may free a branch, or be interrupted. The pause grows with
                # the time of a look: many idle workers must not keep a file server busy.
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
        self.list.reload()
        look = self.list.look()
        return bool(look.ready) or look.waits - {State.RUNNING} != set()

    def has_claimed(self, job: str) -> bool:
        """Whether a SLURM job began any run of the launch before it was requeued."""
        folders = (r.folder for r in self.list.plan.runs)
        return any(
            (f.attempt(n).owner.job or (None,))[0] == job
            for f in folders
            for n in f.attempt_numbers()
        )

    def _train(self, claims: list[Claim]) -> None:
        run_ids = [c.folder.run_id for c in claims]
        pins, execution = self.list.pins(run_ids), self._execution(run_ids[0])
        names = ", ".join(f"{c.folder.run_id} (attempt {c.number})" for c in claims)
        self.say(f"trains {names}")
        self.trained += 1
        try:
            train = _trainer(self.list.launch.trainer(claims[0].folder, execution))
        except Exception as error:  # a missing library is recorded as a failure of the runs
            for claim in claims:
                claim.release(Outcome.FAILED, error)
            self.list.look_at_all()
            return
        outcome = train(claims, pins, execution, self.should_stop)
        self.say(f"{outcome}: {names}")
        if outcome != Outcome.DONE:
            self.list.look_at_all()
        self._judge_this_process(claims[0])

    def _execution(self, run_id: str) -> ExecutionConfig:
        """The execution of a run, or its pack, with a micro-batch within the limit of memory."""
        execution, most = self.list.plan.execution, self.list.limit(run_id).micro_batch
        if most >= (execution.micro_batch or math.inf):
            return execution
        self.say(f"micro-batch {most}: a run of this shape ran out of memory with more")
        return replace(execution, micro_batch=int(most))

    def _judge_this_process(self, claim: Claim) -> None:
        """Count infrastructure failures in a row; an error of the device is as bad as all of them.

        After an illegal access the device fails every further run of this process.
        """
        end = claim.folder.attempt(claim.number).end
        if end is not None and "CUDA error" in end.error:
            self.infra_failures = INFRA_FAILURES
        elif end is not None and end.cause == FailureClass.INFRA:
            self.infra_failures += 1
        else:
            self.infra_failures = 0


def _trainer(name: str) -> Callable[..., Any]:
    """A trainer by its name: this import is where a sweep loads torch."""
    module, _, name = name.partition(":")
    return getattr(importlib.import_module(module), name)


def _claim(
    ready: list[StoredRun], lease_seconds: float, size: Callable[[StoredRun], int]
) -> list[Claim]:
    """Claim the first ready run that no other worker claims, and others that fit into its pack."""
    while ready:
        if ready[0].folder.state() in (State.RUNNING, *FINISHED):  # another was faster
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
    try:
        load_inherited()
        launch = read_launch(Path(folder))
        worker = Worker(launch, kind, stop, time.monotonic() + float(seconds), _log)
        outcome = worker.work()
    # An error of the launch, the plan or an extension: other workers will fail as well.
    except (DamagedFile, ConfigError) as error:
        _log(f"leaves: {error}")
        sys.exit(UNFIT)
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
    """Put this job back into SLURM's queue after its time limit or a preemption.

    A job that a person has cancelled is not requeued. SLURM sends it the same SIGTERM as before a
    preemption, but its state is no longer RUNNING.
    """
    if not stop.warned and stop.raised and scheduler.state_of(job) != "RUNNING":
        return True
    return scheduler.requeue(job)


if __name__ == "__main__":
    main(sys.argv[1:])
