"""What saving costs a training, at a state of about half a gigabyte.

    python benchmarks/saving.py                     a minute; --seconds=30 the interval that is asked for
    python benchmarks/saving.py --steps=40 --width=512

Trains one run twice: with every checkpoint written between two chunks, and as it is done now, by a thread
while training goes on, at an interval that follows the cost. Prints the part of the time in which
the training stood still, and what a step took besides.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from pathlib import Path

import torch

from scaling.config import ExecutionConfig, RunConfig, from_dict
from scaling.data.sources import open_store
from scaling.records.claim import Claim
from scaling.records.describe import describe
from scaling.records.run_folder import RunFolder
from scaling.resolve import resolve
from scaling.training import saver
from scaling.training.loop import Training

BETWEEN = {"ASIDE_BYTES": float("inf"), "SHARE": float("inf")}  # as it was: at once, and each time


def run_folder(outputs: Path, width: int, depth: int, steps: int) -> RunFolder:
    """A planned run of a model whose state has about 12 bytes a parameter."""
    config = from_dict(RunConfig, {
        "model": {"depth": depth, "width": width, "head_dim": 64, "context": 32},
        "data": {"source": "markov", "options": {"vocab": 64, "tokens": 2_000_001,
                                                 "validation_tokens": 1_025},
                 "validation_tokens": 512},
        "optimizer": {"lr": 1e-3}, "batch": 1, "tokens": 32 * steps,
        "schedule": {"kind": "constant", "warmup_tokens": 0},
    })  # fmt: skip
    store = open_store(config.data, outputs)
    run = resolve(config, store.manifest)
    folder = RunFolder(outputs / "runs" / run.run_id)
    folder.describe(describe(run, store))
    return folder


def train(folder: RunFolder, seconds: float) -> dict[str, float]:
    """Train a run: seconds in all, in which it stood still to save, and checkpoints written."""
    claim = Claim.acquire(folder, 60.0)
    assert claim is not None
    training = Training([claim], {}, ExecutionConfig(checkpoint_seconds=seconds))
    still, saves, write = 0.0, [], training.write
    training.write = lambda *args: saves.append(0) or write(*args)  # type: ignore[method-assign]
    began = time.perf_counter()
    while not training.over:
        chunk = training.next_chunk()
        start = time.perf_counter()
        result = training.engine.train(chunk.tokens, chunk.lr, torch.Tensor.backward)
        trained = time.perf_counter()
        training.absorb(result, trained - start)
        still += time.perf_counter() - trained
    whole = time.perf_counter() - began
    training.close()
    return {"seconds": whole, "still": still, "saves": len(saves),
            "step": (whole - still) / training.steps}  # fmt: skip


def main() -> None:
    """Print a line for each way to save."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--width", type=int, default=640)
    parser.add_argument("--depth", type=int, default=8)
    parser.add_argument("--steps", type=int, default=100)
    parser.add_argument("--seconds", type=float, default=5.0)
    given = parser.parse_args()
    torch.set_num_threads(1)
    now = {name: getattr(saver, name) for name in BETWEEN}
    for name, values in (("between chunks", BETWEEN), ("by a thread", now)):
        for key, value in values.items():
            setattr(saver, key, value)
        with tempfile.TemporaryDirectory() as outputs:
            folder = run_folder(Path(outputs), given.width, given.depth, given.steps)
            found = train(folder, given.seconds)
            (final,) = Path(outputs).glob("checkpoints/*/*.pt")
            size = final.stat().st_size / 1e6
        print(f"{name}: {size:.0f} MB, {found['saves']} checkpoints in {found['seconds']:.0f} s, "
              f"stood still {100 * found['still'] / found['seconds']:.1f} % of the time, "
              f"{1e3 * found['step']:.0f} ms a step besides", flush=True)


if __name__ == "__main__":
    main()
