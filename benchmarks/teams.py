"""Loops in separate processes, which take turns.

So loops share neither compiled code nor memory nor settings of torch.
Several processes of a team step at the same time and share the device.
"""

from __future__ import annotations

import argparse
import contextlib
import multiprocessing
import os
import re
import shutil
import subprocess
import tempfile
import warnings
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path

import torch
from loops import LOOPS, Setting, transformer

from scalinglab.scaling.engine.steps.determinism import determinism

WARM_UP = 4  # steps: a CUDA graph of torch.compile's is replayed from the third on
MOST = 1_000  # steps of a turn
PATIENCE = 900.0  # seconds for an answer, which may have to be compiled


class DidNotRun(Exception):
    """The reason why a team has no measurements."""


@dataclass(frozen=True)
class Entry:
    """An entry of a comparison, written ``LOOP[:MEMBERS][@PROCESSES][+mps][+deterministic]``."""

    text: str
    loop: str
    members: int  # of the pack in each process
    processes: int
    mps: bool
    deterministic: bool

    @classmethod
    def parse(cls, text: str) -> Entry:
        """From the command line."""
        found = re.fullmatch(r"([\w-]+)(?::(\d+))?(?:@(\d+))?(\+mps)?(\+deterministic)?", text)
        if found is None or found[1] not in LOOPS:
            raise argparse.ArgumentTypeError(
                f"{text!r} is no LOOP[:MEMBERS][@PROCESSES][+mps][+deterministic], "
                f"LOOP being one of {', '.join(LOOPS)}"
            )
        return cls(
            text,
            found[1],
            int(found[2] or 1),
            int(found[3] or 1),
            found[4] is not None,
            found[5] is not None,
        )


class Team:
    """The processes of an entry; use it in a ``with`` statement.

    Attributes
    ----------
    steps : int
        Of a turn, once it is warm.
    peak_bytes : int
        Of all processes together so far, beyond what their libraries take.
    """

    steps: int
    peak_bytes: int

    def __init__(self, entry: Entry, setting: Setting, environment: Mapping[str, str] = {}) -> None:
        self.entry, self.setting = entry, setting
        context = multiprocessing.get_context("spawn")
        pipes = [context.Pipe() for _ in range(entry.processes)]
        self._pipes = [here for here, _ in pipes]
        self._processes = [
            context.Process(target=serve, args=(there, entry, setting, environment))
            for _, there in pipes
        ]
        for process, (_, there) in zip(self._processes, pipes, strict=True):
            process.start()
            there.close()

    def __enter__(self) -> Team:
        return self

    def __exit__(self, *_: object) -> None:
        for pipe in self._pipes:
            pipe.close()  # which ends the process
        for process in self._processes:
            process.join(timeout=10)
            process.kill()

    def warm_up(self, seconds: float) -> None:
        """Compile, capture and allocate; then determine the number of steps per turn."""
        self._train(WARM_UP)
        per_step = self._train(WARM_UP) / WARM_UP
        self.steps = min(max(WARM_UP, round(seconds / per_step)), MOST)
        self._train(self.steps)  # tokens are loaded, so that all processes start at once

    def rate(self) -> float:
        """Tokens a second of all members in one turn."""
        runs = self.entry.members * self.entry.processes
        return self.steps * runs * self.setting.tokens_per_step / self._train(self.steps)

    def _train(self, steps: int) -> float:
        """Run this many steps in all processes at the same time; seconds of the slowest."""
        for pipe in self._pipes:
            with contextlib.suppress(BrokenPipeError):  # it has printed the reason
                pipe.send(steps)
        seconds, peaks = zip(*map(received, self._pipes), strict=True)
        self.peak_bytes = sum(peaks)
        return max(seconds)


def received(pipe: Connection) -> tuple[float, int]:
    """Seconds and peak bytes that a process answers."""
    if not pipe.poll(PATIENCE):
        raise DidNotRun(f"no answer in {PATIENCE:.0f} s")
    try:
        answer = pipe.recv()
    except EOFError:
        raise DidNotRun("its process died") from None
    if isinstance(answer, str):
        raise DidNotRun(answer)
    return answer


def serve(pipe: Connection, entry: Entry, setting: Setting, environment: Mapping[str, str]) -> None:
    """A process of a team: runs the requested numbers of steps until the pipe is closed."""
    warnings.filterwarnings("ignore")
    os.environ.update(environment)
    if entry.processes > 1:  # else each starts as many compilers as there are cores
        os.environ["TORCHINDUCTOR_COMPILE_THREADS"] = "1"
    torch.set_num_threads(1)
    try:
        with determinism(entry.deterministic), contextlib.suppress(EOFError):
            before = libraries_bytes(setting.device)
            loop = LOOPS[entry.loop](setting, entry.members)
            tokens = setting.tokens(WARM_UP, entry.members)
            while steps := pipe.recv():
                if steps != len(tokens):
                    tokens = setting.tokens(steps, entry.members)
                seconds, _ = loop(tokens)
                pipe.send((seconds, peak_bytes(setting.device) - before))
    except Exception as error:
        pipe.send(f"{type(error).__name__}: {str(error).strip().partition(chr(10))[0]}")


def libraries_bytes(device: str) -> int:
    """Memory after training a minimal model: torch loads much at its first step.

    The compiler's own memory is not in it, nor, on a CPU, Lightning's.
    """
    setting = Setting(transformer(1, 8, 8, 8, 8), 1, device)
    LOOPS["bare"](setting, 1)(setting.tokens(1))
    return peak_bytes(device)


def peak_bytes(device: str) -> int:
    """Largest memory of this process so far: the device's that torch gave out, or resident."""
    if device != "cpu":
        return torch.cuda.max_memory_allocated()
    (kilobytes,) = re.findall(r"VmHWM:\s*(\d+) kB", Path("/proc/self/status").read_text())
    return 1024 * int(kilobytes)


@contextlib.contextmanager
def multi_process_service(wanted: bool) -> Iterator[Mapping[str, str]]:
    """CUDA's service by which processes share a GPU (MPS), and the environment of its clients.

    Raises
    ------
    DidNotRun
        If this machine has none, or it does not start.
    """
    if not wanted:
        yield {}
        return
    control = shutil.which("nvidia-cuda-mps-control")
    if control is None:
        raise DidNotRun("there is no nvidia-cuda-mps-control")
    with tempfile.TemporaryDirectory() as folder:
        told = {"CUDA_MPS_PIPE_DIRECTORY": folder, "CUDA_MPS_LOG_DIRECTORY": folder}
        environment = {**os.environ, **told}
        if subprocess.run([control, "-d"], env=environment, capture_output=True).returncode:
            raise DidNotRun("nvidia-cuda-mps-control does not start")
        try:
            yield told
        finally:
            subprocess.run(
                [control], input="quit\n", text=True, env=environment, capture_output=True
            )
