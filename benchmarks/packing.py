"""How much faster runs train as a pack than one after another, by shape, on this machine's device.

    python benchmarks/packing.py [--device cuda] [--engine eager]

Prints tokens a second of all members together, as ratios to one run alone. Steps of all sizes take
turns, and the shortest of each counts: machines are shared, only what is side by side compares.
"""

from __future__ import annotations

import argparse

import torch
from loops import Setting, device, engine_of, train

from scaling.engine.eager import ENGINES
from scaling.model.architecture import Shape

SIZES = (1, 2, 4, 16)
# Depth, width, heads, width of the MLP, context, vocabulary; sequences a step.
SHAPES = {
    "1 x 8, batch 4 x 16 (the tests')": (Shape(1, 8, 1, 32, 16, 8), 4),
    "2 x 16, batch 16 x 64 (study markov)": (Shape(2, 16, 4, 64, 64, 64), 16),
    "2 x 32, batch 16 x 128 (study lr_sweep)": (Shape(2, 32, 2, 128, 128, 256), 16),
    "2 x 64, batch 16 x 128": (Shape(2, 64, 4, 256, 128, 256), 16),
}


def main(words: list[str] | None = None) -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--device", default="cpu", type=device)
    parser.add_argument("--engine", choices=list(ENGINES), help="eager; on a GPU captured")
    parser.add_argument("--shapes", type=int, default=len(SHAPES), help="how many of them")
    parser.add_argument("--rounds", type=int, default=5)
    given = parser.parse_args(words)
    engine = given.engine or ("eager" if given.device == "cpu" else "captured")
    torch.set_num_threads(1)
    packed = "".join(f"{f'{k} packed':>12}" for k in SIZES[1:])
    print(f"{'depth x width':<42} tokens/s alone{packed}")
    for name, (shape, batch) in list(SHAPES.items())[: given.shapes]:
        rates = tokens_per_second(Setting(shape, batch, given.device), engine, given.rounds)
        ratios = "".join(f"{rates[k] / rates[1]:>11.2f}x" for k in SIZES[1:])
        print(f"{name:<42} {rates[1]:>14,.0f}{ratios}", flush=True)


def tokens_per_second(setting: Setting, name: str, rounds: int) -> dict[int, float]:
    """Of packs of each size, all members together; single steps, the shortest of each."""
    engines = {k: engine_of(name, setting, k) for k in SIZES}
    tokens = {k: setting.tokens(1, k) for k in SIZES}
    times: dict[int, list[float]] = {k: [] for k in SIZES}
    for _ in range(rounds + 1):
        for k, engine in engines.items():
            times[k].append(train(engine, tokens[k])[0])
    return {k: k * setting.tokens_per_step / min(times[k][1:]) for k in SIZES}  # the first warms


if __name__ == "__main__":
    main()
