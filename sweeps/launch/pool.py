"""Worker processes on this machine: one or a few for each GPU, or one for each core."""

from __future__ import annotations

import logging
import os
import signal
import subprocess
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from scalinglab.scaling.records import machine
from scalinglab.scaling.records.processes import process_space, processor_ticks
from scalinglab.scaling.training.child import child_environment, python_command, without_slurm
from scalinglab.sweeps.config import DEFAULT_CLASS
from scalinglab.sweeps.plan.places import worker_devices
from scalinglab.sweeps.store.launch_record import Launch
from scalinglab.sweeps.store.packs import form_packs, pack_size
from scalinglab.sweeps.store.state import LOOKS_APART
from scalinglab.sweeps.store.stored_plan import StoredPlan

WATCH_SECONDS = 0.5
STOP_SECONDS = 60.0  # for a worker to save and leave
KILL_SECONDS = 10.0  # for a killed worker to end: one that hangs in a system call may not
HANG_SECONDS = 10.0  # between two checks for workers that hang
RESPAWNS_A_WORKER = 3
log = logging.getLogger(__name__)


@dataclass
class _Silent:
    """A worker without heartbeats: since when, and when it was asked to end, if it was."""

    since: float
    asked: float | None = None


class Pool:
    """Workers of one launch; a worker that dies or hangs is replaced, a limited number of times."""

    def __init__(self, launch: Launch, plan: StoredPlan) -> None:
        execution = plan.execution
        self.launch = launch
        left = [r for r in plan.runs if r.run_id in launch.classes and r.folder.done() is None]
        self.runs = left
        self.lease_seconds = execution.lease_seconds
        packs = form_packs(left, lambda r: r.kind, lambda r: pack_size(launch.config, r))
        places = worker_devices(launch.config, execution)
        self.places = places[: max(1, min(len(places), len(packs)))]
        self.respawns = RESPAWNS_A_WORKER * len(self.places)
        self.threads = execution.threads
        self.workers: dict[int, subprocess.Popen[bytes]] = {}
        self._silent: dict[int, _Silent] = {}
        self._idle_since: float | None = None
        self._ticks: dict[int, int | None] = {}  # process -> processor time at the last look
        self._next_look = time.monotonic() + HANG_SECONDS

    def run(
        self, stop: Callable[[], bool], on_tick: Callable[[], None], is_over: Callable[[], bool]
    ) -> None:
        """Watch the workers until all have left, or `stop` is true, or nothing is left to train.

        The last case matters for workers that were suspended, or hang in a system call: these do
        not leave by themselves.

        Parameters
        ----------
        stop : callable
            Whether a person or a signal ends the launch.
        on_tick : callable
            Called about twice a second.
        is_over : callable
            Whether no run is left that a worker of the launch would train.
        """
        try:
            self.workers = {i: self._spawn(i) for i in range(len(self.places))}
            pause = min(WATCH_SECONDS, self.launch.config.poll_seconds)
            while self.workers and not stop():
                time.sleep(pause)
                self._replace_dead()
                if time.monotonic() >= self._next_look and self._only_hung_are_left(is_over):
                    break
                on_tick()
        finally:
            self._end()
            on_tick()

    def _spawn(self, number: int) -> subprocess.Popen[bytes]:
        log = self.launch.folder / f"worker-{number}.log"
        environment = (
            without_slurm(child_environment(Path(self.launch.code)))
            | (machine.compile_threads(len(self.places)))
            | {
                "OMP_NUM_THREADS": str(self.threads),
                "MKL_NUM_THREADS": str(self.threads),
                "SCALING_LOG": str(log),
            }
        )
        place = self.places[number]
        if place is not None:
            environment["CUDA_VISIBLE_DEVICES"] = place
        command = python_command(
            "scalinglab.sweeps.launch.worker", self.launch.folder, DEFAULT_CLASS, "inf", os.getpid()
        )
        # Its own session, so that Ctrl-C reaches the launcher only, which asks workers to save.
        with log.open("ab") as file:
            return subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=file,
                stderr=file,
                start_new_session=True,
                env=environment,
            )

    def _replace_dead(self) -> None:
        for number, worker in list(self.workers.items()):
            code = worker.poll()
            if code is None:
                continue
            silent = self._silent.pop(number, None)
            replaced = code != 0 or (silent is not None and silent.asked is not None)
            if replaced and self.respawns > 0:
                self.respawns -= 1
                self.workers[number] = self._spawn(number)
            else:
                del self.workers[number]

    def _only_hung_are_left(self, is_over: Callable[[], bool]) -> bool:
        """Whether nothing has been left to train for a while, and some workers have not left.

        A worker that still computes is not hung but begins or leaves: on a busy machine, loading and
        unloading torch takes longer than the pause between two looks.

        Also ends workers whose leases have run out: other workers may have taken their runs.
        """
        began = time.monotonic()
        over = is_over()
        if not over:
            self._end_silent(began)
        self._idle_since = (self._idle_since or began) if over else None
        took = time.monotonic() - began
        self._next_look = time.monotonic() + max(HANG_SECONDS, LOOKS_APART * took)
        before = self._ticks
        self._ticks = {w.pid: processor_ticks(w.pid) for w in self.workers.values()} if over else {}
        if self._idle_since is None or began - self._idle_since < HANG_SECONDS:
            return False
        computes = any(ticks != before.get(pid) for pid, ticks in self._ticks.items())
        if computes and began - self._idle_since < STOP_SECONDS:
            return False
        for number, worker in self.workers.items():
            log.warning(
                "nothing is left to train, and worker %d (process %d) does not leave: it "
                "is asked to end",
                number,
                worker.pid,
            )
        return True

    def _end_silent(self, now: float) -> None:
        pids = self._silent_pids()
        self._silent = {
            n: self._silent.get(n, _Silent(now))
            for n, worker in self.workers.items()
            if worker.pid in pids
        }
        for number, silent in self._silent.items():
            worker = self.workers[number]
            # After the machine was suspended, each worker needs a moment for its first heartbeat.
            if silent.asked is None and now - silent.since > self.lease_seconds:
                silent.asked = now
                log.warning(
                    "worker %d (process %d) has not answered for longer than its lease of "
                    "%g s: it is asked to end, and another takes its place",
                    number,
                    worker.pid,
                    self.lease_seconds,
                )
                _ask_to_end(worker)
            elif silent.asked is not None and now - silent.asked > STOP_SECONDS:
                log.warning("worker %d (process %d) does not end: it is killed", number, worker.pid)
                worker.kill()

    def _silent_pids(self) -> set[int]:
        """Ids of processes of this host that hold a run of the launch beyond their lease."""
        pids = set()
        for run in self.runs:
            attempt = None if run.folder.done_file.exists() else run.folder.latest_attempt()
            if attempt is None or attempt.end is not None or run.folder.is_alive(attempt):
                continue
            owner = attempt.owner
            is_on_this_host = (owner.host, owner.process_space) == (machine.host(), process_space())
            if is_on_this_host and not owner.has_ended:  # its number may be another's by now
                pids.add(owner.pid)
        return pids

    def _end(self) -> None:
        """Ask the remaining workers to save and leave; kill those that do not."""
        for worker in self.workers.values():
            _ask_to_end(worker)
        deadline = time.monotonic() + STOP_SECONDS
        for number, worker in self.workers.items():
            try:
                worker.wait(max(0.1, deadline - time.monotonic()))
            except subprocess.TimeoutExpired:
                log.warning(
                    "worker %d (process %d) does not end within %g s: it is killed",
                    number,
                    worker.pid,
                    STOP_SECONDS,
                )
                _kill(worker)


def _ask_to_end(worker: subprocess.Popen[bytes]) -> None:
    """Ask a worker to save and leave; SIGCONT wakes one that was suspended."""
    worker.send_signal(signal.SIGTERM)
    worker.send_signal(signal.SIGCONT)


def _kill(worker: subprocess.Popen[bytes]) -> None:
    worker.kill()
    try:
        worker.wait(KILL_SECONDS)
    except subprocess.TimeoutExpired:
        log.warning(
            "process %d is still there: it hangs in a call of the kernel, as to a file "
            "server that does not answer, and is left",
            worker.pid,
        )
