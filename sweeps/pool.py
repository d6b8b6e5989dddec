"""Worker processes on this machine: one a GPU or a few, else one a core."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

from scaling.processes.child import child_environment, python_command, without_slurm
from scaling.records import machine
from sweeps.launches import DEFAULT_CLASS, Launch, LaunchConfig, pack_size
from sweeps.packs import form
from sweeps.state import StoredPlan

WATCH_SECONDS = 0.5
STOP_SECONDS = 60.0
RESPAWNS_A_WORKER = 3


def slots(
    config: LaunchConfig, device: str, threads: int, processes: int = 1
) -> list[str | None]:
    """The devices of each worker: names of GPUs for CUDA_VISIBLE_DEVICES, or None for cores.

    A run of several processes has as many GPUs, or cores, to itself. A GPU that the caller's own
    CUDA_VISIBLE_DEVICES hides is not used.
    """
    if device == "cpu":
        return [None] * (config.workers or max(1, machine.cores() // (threads * processes)))
    found = machine.gpus()
    sets = [",".join(found[i : i + processes])
            for i in range(0, len(found) - processes + 1, processes)]
    gpus = [names for names in sets for _ in range(config.workers_a_gpu)]
    wanted = config.workers or max(1, len(gpus))
    return [gpus[i % len(gpus)] if gpus else None for i in range(wanted)]


def worker_count(
    config: LaunchConfig, device: str, threads: int, runs: int, processes: int = 1
) -> int:
    """Workers to start for so many packs (a run alone is one)."""
    if config.backend == "inline":
        return 1
    if config.backend == "slurm":
        return max(1, min(config.workers or runs, runs))
    return max(1, min(len(slots(config, device, threads, processes)), runs))


class Pool:
    """Workers of one launch; one that dies is replaced, a few times."""

    def __init__(self, begun: Launch, plan: StoredPlan) -> None:
        execution = plan.execution
        self.launch = begun
        left = [r for r in plan.runs
                if r.folder.run_id in begun.classes and r.folder.done() is None]
        packs = form(left, lambda r: r.kind, lambda r: pack_size(begun.config, r))
        places = slots(begun.config, execution.device, execution.threads, execution.processes)
        self.places = places[: max(1, min(len(places), len(packs)))]
        self.respawns = RESPAWNS_A_WORKER * len(self.places)
        self.threads = execution.threads
        self.workers: dict[int, subprocess.Popen[bytes]] = {}

    def run(self, stop: Callable[[], bool], on_tick: Callable[[], None]) -> None:
        """Until every worker has left, or `stop`."""
        try:
            self.workers = {i: self._spawn(i) for i in range(len(self.places))}
            pause = min(WATCH_SECONDS, self.launch.config.poll_seconds)
            while self.workers and not stop():
                time.sleep(pause)
                self._replace_dead()
                on_tick()
        finally:
            self._end()
            on_tick()

    def _spawn(self, number: int) -> subprocess.Popen[bytes]:
        log = self.launch.folder / f"worker-{number}.log"
        environment = without_slurm(child_environment(Path(self.launch.code))) | (
            machine.compile_threads(len(self.places))
        ) | {
            "OMP_NUM_THREADS": str(self.threads), "MKL_NUM_THREADS": str(self.threads),
            "SCALING_LOG": str(log),
        }
        if self.places[number] is not None:
            environment["CUDA_VISIBLE_DEVICES"] = self.places[number]
        command = python_command("sweeps.worker", self.launch.folder, DEFAULT_CLASS, "inf",
                                 os.getpid())
        # Its own session, so that Ctrl-C reaches the launcher only, which asks workers to save.
        with log.open("ab") as file:
            return subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=file, stderr=file,
                                    start_new_session=True, env=environment)

    def _replace_dead(self) -> None:
        for number, worker in list(self.workers.items()):
            code = worker.poll()
            if code is None:
                continue
            if code != 0 and self.respawns > 0:
                self.respawns -= 1
                self.workers[number] = self._spawn(number)
            else:
                del self.workers[number]

    def _end(self) -> None:
        """Ask the workers that are left to save and leave; kill what does not."""
        for worker in self.workers.values():
            worker.send_signal(signal.SIGTERM)
        deadline = time.monotonic() + STOP_SECONDS
        for worker in self.workers.values():
            try:
                worker.wait(max(0.1, deadline - time.monotonic()))
            except subprocess.TimeoutExpired:
                worker.kill()
                worker.wait()
