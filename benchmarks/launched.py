"""Speed of a run under `scaling launch`, relative to the engine alone.

    OMP_NUM_THREADS=1 python benchmarks/launched.py [width ...]

A pool of one worker with one thread trains one run: steps, clipping, validation, checkpoints, curve
and record. Meanwhile this process calls ``EagerEngine.train`` with the same shapes and nothing
else. Both are compared by tokens per processor second, as a busy machine does not share its time
equally. The launched run is timed from the end of its first chunk to DONE; it reports its own time
in steps and in validation.
"""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch

from scalinglab.scaling.engine.steps.eager import EagerEngine
from scalinglab.scaling.engine.steps.engine import Member
from scalinglab.scaling.optimizers.optimizer import member_settings
from scalinglab.scaling.records.attempt import Progress
from scalinglab.scaling.records.run_folder import RunFolder
from scalinglab.scaling.records.spec import RunSpec

ROUNDS = 3
STUDY = """
# @package _global_
defaults:
  - override /data: markov
study:
  name: launched
  question: What does the way around the engine cost?
  blocks: {{one: {{role: fit, grid: {{tokens: [{tokens}], seed: [{seed}]}}}}}}
model: {{width: {width}}}
schedule: {{warmup_tokens: 8192}}
execution: {{checkpoint_seconds: 10}}
data:
  options: {{vocab: 256, tokens: 400001, validation_tokens: 32769}}
  max_epochs: 1e6
"""
TOKENS = {64: 600_000, 128: 300_000}
CHUNK = 5


def main(widths: list[int]) -> None:
    """Print medians over the rounds."""
    torch.set_num_threads(1)
    print(
        f"{'width':>5}{'tokens/s alone':>16}{'kept':>8}{'beside validation':>19}"
        f"{'validation':>12}{'neither it nor steps':>22}{'seconds':>9}"
    )
    for width in widths:
        rounds = [compared(width, seed) for seed in range(ROUNDS)]
        rate, kept, validation, rest, whole = map(statistics.median, zip(*rounds, strict=True))
        beside = statistics.median(k / (1 - v) for _, k, v, _, _ in rounds)
        print(
            f"{width:>5}{rate:>16,.0f}{kept:>8.1%}{beside:>19.1%}{validation:>12.1%}"
            f"{rest:>22.2%}{whole:>9.0f}",
            flush=True,
        )


def compared(width: int, seed: int) -> tuple[float, float, float, float, float]:
    """One round.

    Returns ------- tuple of float Tokens per processor second of the engine alone; the launched
    run's over that; the shares of its time in validation, and in neither validation nor steps; its
    time in seconds.
    """
    with tempfile.TemporaryDirectory() as below:
        study = Path(below) / "conf" / "study" / "launched.yaml"
        study.parent.mkdir(parents=True)
        study.write_text(STUDY.format(width=width, tokens=TOKENS[width], seed=seed))
        root = str(Path(__file__).parent.parent)
        launch = subprocess.Popen(
            [
                sys.executable,
                "-m",
                "scalinglab.cli",
                "launch",
                "study=launched",
                "launch.workers=1",
            ],
            cwd=below,
            stdout=subprocess.DEVNULL,
            env=os.environ | {"PYTHONPATH": root},
        )
        try:
            return beside(launch, Path(below) / "outputs")
        finally:
            launch.terminate()
            launch.wait()


def beside(
    launch: subprocess.Popen[bytes], outputs: Path
) -> tuple[float, float, float, float, float]:
    """The measurements of one round, for a launch that has just begun."""
    folder, first, start = first_chunk(launch, outputs)
    run, pid = folder.spec(), folder.latest_attempt().owner.pid
    work = at_work(pid)
    rate = alone(run, lambda: folder.done() is not None or launch.poll() is not None)
    work = at_work(pid) - work
    whole = folder.done_file.stat().st_mtime - start
    (step, steps, validation), last = spent(first, run), spent(folder.progress(1), run)
    steps, validation = last[1] - steps, last[2] - validation
    launched = (last[0] - step) * run.tokens_per_step / work
    rest = whole - steps - validation
    return rate, launched / rate, validation / whole, rest / whole, whole


def at_work(pid: int) -> float:
    """Processor seconds of a process with all its threads."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def first_chunk(
    launch: subprocess.Popen[bytes], outputs: Path
) -> tuple[RunFolder, Progress, float]:
    """The run, its first report of a step, and the time of that report."""
    while launch.poll() is None:
        for beat in outputs.glob("runs/*/attempts/0001.beat"):
            folder = RunFolder(beat.parent.parent)
            moment, said = beat.stat().st_mtime, folder.progress(1)
            if said.step is not None:
                return folder, said, moment
        time.sleep(0.01)
    raise RuntimeError("the launch ended before its first step")


def spent(said: Progress, run: RunSpec) -> tuple[float, float, float]:
    """Steps so far, seconds in them, and in validation."""
    steps = said.step * run.tokens_per_step / said.tokens_per_second
    return said.step, steps, said.seconds - steps


def alone(run: RunSpec, over: Callable[[], bool]) -> float:
    """Tokens per processor second of the engine, measured until `over` is true."""
    settings = member_settings(run.optimizer.name, run.optimizer.settings)
    engine = EagerEngine(run.architecture, [Member(0, settings)])
    size = (CHUNK, 1, run.batch, run.shape.context + 1)
    tokens = np.random.default_rng(0).integers(256, size=size, dtype=np.uint8)
    lr = np.full((CHUNK, 1), 1e-3)
    engine.train(tokens, lr, torch.Tensor.backward)
    chunks, start = 0, time.process_time()
    while not over():
        engine.train(tokens, lr, torch.Tensor.backward)
        chunks += 1
    return chunks * CHUNK * run.tokens_per_step / (time.process_time() - start)


if __name__ == "__main__":
    main([int(width) for width in sys.argv[1:]] or list(TOKENS))
