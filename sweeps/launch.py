"""Run a planned study here: in this process, or on a pool of persistent workers.

A launch may be killed at any moment and given again: what is done stays done, what was begun goes
on from its last checkpoint.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from scaling import machine
from scaling.config import ConfigError, one_of
from sweeps.state import StoredPlan, read_plan
from sweeps.stop import StopFlag
from sweeps.worker import work

BACKENDS = ("inline", "local")
WATCH_SECONDS = 0.5
STOP_SECONDS = 60.0
RESPAWNS_A_WORKER = 3


@dataclass(frozen=True)
class LaunchConfig:
    """Where runs happen: `workers` None means one a core (divided by the threads of a run)."""

    backend: str = "local"
    workers: int | None = None
    pack: int = 1


def check_launch(config: LaunchConfig) -> None:
    """Raise `ConfigError` if the launch makes no sense."""
    one_of("launch.backend", config.backend, BACKENDS)
    for key in ("workers", "pack"):
        value = getattr(config, key)
        if value is not None and value < 1:
            raise ConfigError(f"launch.{key} = {value}: allowed is 1 or more")


def worker_count(config: LaunchConfig, threads: int, runs: int) -> int:
    """Workers to start for so many runs."""
    if config.backend == "inline":
        return 1
    wanted = config.workers or max(1, machine.cores() // threads)
    return max(1, min(wanted, runs))


def launch(
    outputs: Path,
    study: str,
    config: LaunchConfig,
    on_tick: Callable[[], None] = lambda: None,
) -> bool:
    """Train what a stored plan still lacks.

    Parameters
    ----------
    outputs, study
        Where the plan lies.
    config : LaunchConfig
        The backend.
    on_tick : callable
        Called about twice a second while workers work (a pool only).

    Returns
    -------
    bool
        False if it was interrupted.
    """
    check_launch(config)
    plan = read_plan(outputs, study)
    stop = StopFlag()
    stop.install()
    try:
        if config.backend == "inline":
            work(plan, time.time(), config.pack, lambda: (on_tick(), stop())[1])
        else:
            _Pool(outputs, study, plan, config).run(stop, on_tick)
    finally:
        stop.uninstall()
    return not stop.raised


class _Pool:
    """Worker processes; one that dies is replaced, a few times."""

    def __init__(
        self, outputs: Path, study: str, plan: StoredPlan, config: LaunchConfig
    ) -> None:
        self.launched = time.time()
        self.command = [
            sys.executable, "-m", "sweeps.worker",
            str(outputs), study, repr(self.launched), str(config.pack), str(os.getpid()),
        ]
        self.log = outputs / "studies" / study / "workers.log"
        left = sum(run.folder.done() is None for run in plan.runs)
        self.count = worker_count(config, plan.execution.threads, left)
        self.respawns = RESPAWNS_A_WORKER * self.count
        self.threads = plan.execution.threads
        self.workers: list[subprocess.Popen[bytes]] = []

    def run(self, stop: Callable[[], bool], on_tick: Callable[[], None]) -> None:
        """Until every worker has left, or `stop`."""
        try:
            self.workers = [self._spawn() for _ in range(self.count)]
            while self.workers and not stop():
                time.sleep(WATCH_SECONDS)
                self._replace_dead()
                on_tick()
        finally:
            self._end()
            on_tick()

    def _spawn(self) -> subprocess.Popen[bytes]:
        # Its own session, so that Ctrl-C reaches the launcher only, which asks workers to save.
        threads = str(self.threads)
        environment = os.environ | {"OMP_NUM_THREADS": threads, "MKL_NUM_THREADS": threads}
        package_root = str(Path(__file__).parent.parent)
        path = os.pathsep.join(filter(None, (package_root, os.environ.get("PYTHONPATH"))))
        with self.log.open("ab") as log:
            return subprocess.Popen(
                self.command, stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                start_new_session=True, env=environment | {"PYTHONPATH": path},
            )

    def _replace_dead(self) -> None:
        alive = []
        for worker in self.workers:
            code = worker.poll()
            if code is None:
                alive.append(worker)
            elif code != 0 and self.respawns > 0:
                self.respawns -= 1
                alive.append(self._spawn())
        self.workers = alive

    def _end(self) -> None:
        """Ask the workers that are left to save and leave; kill what does not."""
        for worker in self.workers:
            worker.send_signal(signal.SIGTERM)
        deadline = time.monotonic() + STOP_SECONDS
        for worker in self.workers:
            try:
                worker.wait(max(0.1, deadline - time.monotonic()))
            except subprocess.TimeoutExpired:
                worker.kill()
                worker.wait()
