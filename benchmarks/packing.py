"""How much faster runs train as a pack than one after another, by shape, on this machine's device.

Prints tokens a second of all members together, as ratios to one run alone. Steps of all sizes take
turns, and the shortest of each counts: machines are shared, only what is side by side compares.

    python benchmarks/packing.py [device=cpu] [engine=eager] [rounds=5]
"""

from __future__ import annotations

import sys
import time
from dataclasses import dataclass

import numpy as np
import torch

from scaling.engine.eager import ENGINES, Engine, Member
from scaling.model.architecture import Architecture, Shape
from scaling.optimizer_settings import AdamWSettings

SIZES = (1, 2, 4, 16)
# Depth, width, heads, width of the MLP, context, vocabulary; sequences a step.
SHAPES = {
    "1 x 8, batch 4 x 16 (the tests')": (Shape(1, 8, 1, 32, 16, 8), 4),
    "2 x 16, batch 16 x 64 (study markov)": (Shape(2, 16, 4, 64, 64, 64), 16),
    "2 x 32, batch 16 x 128 (study lr_sweep)": (Shape(2, 32, 2, 128, 128, 256), 16),
    "2 x 64, batch 16 x 128": (Shape(2, 64, 4, 256, 128, 256), 16),
}


@dataclass(frozen=True)
class Options:
    """What the command line may set."""

    device: str = "cpu"
    engine: str = "eager"
    rounds: int = 5


def pack(shape: Shape, members: int, options: Options) -> Engine:
    """An engine of so many members that differ in their seeds."""
    settings = AdamWSettings(beta1=0.9, beta2=0.95, epsilon=1e-8, weight_decay=0.1, clip=1.0)
    return ENGINES[options.engine](
        Architecture(shape), [Member(seed, settings) for seed in range(members)],
        device=options.device,
    )


def step_seconds(engine: Engine, shape: Shape, batch: int, members: int) -> float:
    """Seconds of one update of the whole pack; the losses that come back end the waiting."""
    tokens = np.random.default_rng(0).integers(
        shape.vocab, size=(1, members, batch, shape.context + 1))
    start = time.perf_counter()
    engine.train(tokens, np.full((1, members), 1e-3), torch.Tensor.backward)
    return time.perf_counter() - start


def main() -> None:
    """Print the table."""
    given = dict(argument.split("=") for argument in sys.argv[1:])
    options = Options(given.get("device", "cpu"), given.get("engine", "eager"),
                      int(given.get("rounds", 5)))
    torch.set_num_threads(1)
    packed = "".join(f"{f'{k} packed':>12}" for k in SIZES[1:])
    print(f"{'depth x width':<42} tokens/s alone{packed}")
    for name, (shape, batch) in SHAPES.items():
        engines = {k: pack(shape, k, options) for k in SIZES}
        times: dict[int, list[float]] = {k: [] for k in SIZES}
        for _ in range(options.rounds + 1):
            for k, engine in engines.items():
                times[k].append(step_seconds(engine, shape, batch, k))
        rates = {k: k * batch * shape.context / min(times[k][1:]) for k in SIZES}  # the first warms
        ratios = "".join(f"{rates[k] / rates[1]:>11.2f}x" for k in SIZES[1:])
        print(f"{name:<42} {rates[1]:>14,.0f}{ratios}", flush=True)


if __name__ == "__main__":
    main()
