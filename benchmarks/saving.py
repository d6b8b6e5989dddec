"""Cost of checkpoints for a training with a state of about half a gigabyte.

    python benchmarks/saving.py                     a minute on a free machine
    python benchmarks/saving.py --steps=40 --width=512

Trains one run twice: with every checkpoint written between two chunks, and by a thread during
training, which is what the trainer does. Prints the time per checkpoint in which training stood
still (wall clock and processor), and its share of the whole time at the default interval.
"""

from __future__ import annotations

import argparse
import tempfile
import threading
import time
from pathlib import Path
from typing import Any

import torch

from scalinglab.scaling.config import ExecutionConfig, RunConfig
from scalinglab.scaling.data.sources import open_store
from scalinglab.scaling.engine.trainer.loop import Training
from scalinglab.scaling.read_options import from_dict
from scalinglab.scaling.records.claim import Claim
from scalinglab.scaling.records.run_folder import RunFolder
from scalinglab.scaling.run.describe import describe
from scalinglab.scaling.run.resolve import resolve
from scalinglab.scaling.training import saver


def run_folder(outputs: Path, width: int, depth: int, steps: int) -> RunFolder:
    """A planned run of a model whose state has about 12 bytes per parameter."""
    config = from_dict(
        RunConfig,
        {
            "model": {"depth": depth, "width": width, "head_dim": 64, "context": 32},
            "data": {
                "source": "markov",
                "options": {"vocab": 64, "tokens": 2_000_001, "validation_tokens": 1_025},
                "validation_tokens": 512,
            },
            "optimizer": {"lr": 1e-3},
            "batch": 1,
            "tokens": 32 * steps,
            "schedule": {"kind": "constant", "warmup_tokens": 0},
        },
    )
    store = open_store(config.data, outputs)
    run = resolve(config, store.manifest)
    folder = RunFolder(outputs / "runs" / run.run_id)
    folder.describe(describe(run, store))
    return folder


def train(folder: RunFolder, seconds: float) -> dict[str, float]:
    """Train a run; for each checkpoint, seconds in which training stood still, and the thread's."""
    claim = Claim.acquire(folder, 60.0)
    assert claim is not None
    training = Training([claim], {}, ExecutionConfig(checkpoint_seconds=seconds))
    still = busy = steps = processor = 0.0
    written, write = [], training.write

    def timed(*arguments: Any) -> Path:
        nonlocal busy
        began = time.thread_time()
        written.append(write(*arguments))
        if threading.current_thread() is not threading.main_thread():
            busy += time.thread_time() - began
        return written[-1]

    training.write = timed  # type: ignore[method-assign]
    while not training.over:
        chunk = training.next_chunk()
        start = time.perf_counter()
        result = training.engine.train(chunk.tokens, chunk.lr, torch.Tensor.backward)
        trained, used = time.perf_counter(), time.thread_time()
        training.absorb(result, trained - start)
        if training.over:  # waits for files that are still being written
            training.close()
        steps += trained - start
        still += time.perf_counter() - trained
        processor += time.thread_time() - used
    count = len(written)
    return {
        "count": count,
        "still": still / count,
        "processor": processor / count,
        "busy": busy / count,
        "step": steps / training.steps,
    }


def share(still: float, cost: float, follows: bool) -> str:
    """The default interval, and the share of the time in which a training stands still."""
    least = ExecutionConfig().checkpoint_seconds
    interval = min(max(least, cost / saver.SHARE), saver.LONGEST * least) if follows else least
    return f"{100 * still / (interval + still):.1f} % of the time at one each {interval:.0f} s"


def main() -> None:
    """Print a line for each way to save."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--width", type=int, default=640)
    parser.add_argument("--depth", type=int, default=8)
    parser.add_argument("--steps", type=int, default=10)
    parser.add_argument("--seconds", type=float, default=1.0)
    given = parser.parse_args()
    torch.set_num_threads(1)
    aside = saver.ASIDE_BYTES
    for name, most in (("between chunks", float("inf")), ("by a thread", aside)):
        saver.ASIDE_BYTES = most
        with tempfile.TemporaryDirectory() as outputs:
            folder = run_folder(Path(outputs), given.width, given.depth, given.steps)
            found = train(folder, given.seconds)
            (final,) = Path(outputs).glob("checkpoints/*/*.pt")
            size = final.stat().st_size / 1e6
        cost = found["still"] + found["busy"]
        print(
            f"{name}: {size:.0f} MB; of each of {found['count']} checkpoints training stood still "
            f"{found['still']:.2f} s ({found['processor']:.2f} s of the processor), a thread took "
            f"{found['busy']:.2f} s of the processor: "
            f"{share(found['still'], cost, name == 'by a thread')}; "
            f"{found['step']:.2f} s a step",
            flush=True,
        )


if __name__ == "__main__":
    main()
