"""Time and memory of moving tokens from the store to the engine.

    OMP_NUM_THREADS=1 python benchmarks/feed.py [gather | waiting]

``gather``: windows of a 100 MB store in a training's order, 8 million tokens per call, against the
former way with an index and an int64 for each token. ``waiting``: the share of its time that a
training waits for tokens, with a prefetching thread, without it, and in the former way. It is
measured for a small model on this CPU, for the same on one core, and for simulated fast devices,
during whose steps the host is idle. The ways take turns; medians are printed. Beside each share
stand tokens per second over those of the first way: per processor second where the processor
computes, else per second.
"""

from __future__ import annotations

import os
import statistics
import sys
import tempfile
import time
import tracemalloc
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch

from scalinglab.scaling.config import ExecutionConfig, RunConfig
from scalinglab.scaling.data.feed import Feed
from scalinglab.scaling.data.order import DataOrder
from scalinglab.scaling.data.sources import open_store
from scalinglab.scaling.data.store import gather
from scalinglab.scaling.engine.steps.engine import ChunkResult
from scalinglab.scaling.engine.trainer.loop import Training
from scalinglab.scaling.read_options import from_dict
from scalinglab.scaling.records.claim import Claim
from scalinglab.scaling.records.run_folder import RunFolder
from scalinglab.scaling.records.state import Outcome
from scalinglab.scaling.run.describe import describe
from scalinglab.scaling.run.resolve import resolve

ROUNDS = 3
RUN = {
    "model": {"depth": 1, "width": 8, "heads": 1, "context": 256},
    "data": {
        "source": "markov",
        "max_epochs": 1e6,
        "validation_tokens": 1024,
        "options": {"vocab": 256, "tokens": 2_000_001, "validation_tokens": 1025},
    },
    "schedule": {"kind": "constant", "warmup_tokens": 0},
    "optimizer": {"lr": 0.001},
    "batch": 32,
}


class Unexpecting(Feed):
    """A feed without prefetching."""

    def expect(self, step: int, steps: int) -> None:
        """Ignore the announcement of the next chunk."""


class StandIn:
    """An engine with a simulated device of a fixed rate that does not use the host."""

    def __init__(self, rate: float) -> None:
        self.rate, self.steps_done = rate, 0

    def train(self, tokens: np.ndarray, lr: np.ndarray, backward: object) -> ChunkResult:
        """Wait as long as the device would take."""
        time.sleep(tokens.size / self.rate)
        self.steps_done += len(lr)
        return ChunkResult(np.ones(lr.shape, np.float32), np.ones(lr.shape, np.float32))

    def evaluate(self, windows: np.ndarray) -> np.ndarray:
        """Return at once."""
        return np.ones(1)

    def state(self, member: int) -> dict[str, torch.Tensor]:
        """Nothing."""
        return {}


def indexed(tokens: np.ndarray, windows: np.ndarray, context: int) -> np.ndarray:
    """The former way: an index of each token, then an int64 of each."""
    places = windows[..., None] * context + np.arange(context + 1)
    return tokens[places].astype(np.int64)


def gathering() -> None:
    """Print the table of `gather`."""
    print(f"{'dtype':<8}{'context':>8}{'M tokens/s':>12}{'of that before':>16}{'peak memory':>13}")
    for dtype in (np.uint8, np.uint16):
        size = 100_000_000 // np.dtype(dtype).itemsize
        tokens = np.random.default_rng(0).integers(0, 250, size=size, dtype=dtype)
        for context in (64, 128, 256, 1024):
            count = 2**23 // context
            windows = DataOrder((size - 1) // context, seed=0).windows_at(0, count)
            ways = {way: lambda way=way: way(tokens, windows, context) for way in (indexed, gather)}
            seconds = {way: [] for way in ways}
            for _ in range(ROUNDS):
                for way, run in ways.items():
                    seconds[way].append(timed(run))
            ratio = statistics.median(np.divide(seconds[indexed], seconds[gather]))
            memory = peak(ways[gather]) / peak(ways[indexed])
            rate = count * (context + 1) / statistics.median(seconds[gather]) / 1e6
            print(f"{dtype.__name__:<8}{context:>8}{rate:>12,.0f}{ratio:>15.1f}x{memory:>12.2f}x")


def timed(run: Callable[[], object]) -> float:
    """Seconds of one call."""
    start = time.perf_counter()
    run()
    return time.perf_counter() - start


def peak(run: Callable[[], object]) -> int:
    """Peak memory of a call in bytes."""
    tracemalloc.start()
    run()
    _, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    return most


def waiting() -> None:
    """Print the table of `waiting`."""
    print(f"{'':<34}{'as it was':>22}{'not ahead':>22}{'ahead':>22}")
    with tempfile.TemporaryDirectory() as below:
        outputs = Path(below)
        row("this CPU, batch 32 x 256", outputs, seconds=4, rate=None)
        for rate in (1e7, 2.5e7):
            row(f"a device of {rate / 1e6:g} M tokens/s", outputs, seconds=4, rate=rate)
        os.sched_setaffinity(0, [min(os.sched_getaffinity(0))])
        row("this CPU, one core of it", outputs, seconds=4, rate=None)


def row(name: str, outputs: Path, seconds: float, rate: float | None) -> None:
    """Share of waiting time; tokens per second over those of the first way."""
    found = {way: [] for way in ("as it was", "not ahead", "ahead")}
    for turn in range(ROUNDS):
        for way, shares in found.items():
            shares.append(trained(outputs, turn, way, seconds, rate))
    told = ""
    for results in found.values():
        share = statistics.median(s for s, _ in results)
        gain = statistics.median(
            r / b for (_, r), (_, b) in zip(results, found["as it was"], strict=True)
        )
        told += f"{share:>12.2%}{gain:>9.3f}x"
    print(f"{name:<34}{told}", flush=True)


def trained(
    outputs: Path, seed: int, way: str, seconds: float, rate: float | None
) -> tuple[float, float]:
    """A training by the real loop: share of its time in `next_chunk`, and tokens per second.

    The first chunks, on which the loop measures its speed, do not count.
    """
    config = from_dict(RunConfig, RUN | {"seed": seed, "tokens": 32 * 256 * 200_000})
    store = open_store(config.data, outputs)
    run = resolve(config, store.manifest)
    folder = RunFolder(Path(tempfile.mkdtemp(dir=outputs)) / "runs" / run.run_id)
    folder.describe(describe(run, store))
    (folder.outputs / "data").symlink_to(outputs / "data")
    claim = Claim.acquire(folder, 60.0)
    build = {"build": lambda *ignored: StandIn(rate)} if rate else {}
    training = Training([claim], {}, ExecutionConfig(checkpoint_seconds=1e6), **build)
    if way != "ahead":
        training._feed = Unexpecting(old(training) if way == "as it was" else training._tokens)
    clock = time.perf_counter if rate else time.process_time
    start = waited = tokens = 0.0
    begun = time.perf_counter()
    while time.perf_counter() - begun < seconds + 1.5:
        if not start and time.perf_counter() - begun > 1.5:
            start, work, waited, tokens = time.perf_counter(), clock(), 0.0, 0.0
        before = time.perf_counter()
        chunk = training.next_chunk()
        waited += time.perf_counter() - before
        tokens += chunk.tokens.size
        before = time.perf_counter()
        result = training.engine.train(chunk.tokens, chunk.lr, torch.Tensor.backward)
        training.absorb(result, time.perf_counter() - before)
    whole, work = time.perf_counter() - start, clock() - work
    training.abandon(Outcome.INTERRUPTED, None)
    return waited / whole, tokens / work


def old(training: Training) -> Callable[[int, int], np.ndarray]:
    """The former way to fetch the tokens of some steps."""
    batch, context = training._tokens.keywords["batch"], training.context
    (orders,) = training._tokens.args

    def fetch(step: int, steps: int) -> np.ndarray:
        tokens = (
            indexed(training.store.train, o.windows_at(step * batch, steps * batch), context)
            for o in orders
        )
        return np.stack([t.reshape(steps, batch, context + 1) for t in tokens], 1)

    return fetch


def main(what: str | None) -> None:
    """Print one table, or both."""
    torch.set_num_threads(1)
    if what in (None, "gather"):
        gathering()
    if what in (None, "waiting"):
        waiting()


if __name__ == "__main__":
    main(sys.argv[1] if len(sys.argv) > 1 else None)
