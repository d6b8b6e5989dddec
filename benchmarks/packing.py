"""Speed of packs relative to single runs, by shape, on this machine's device.

    python benchmarks/packing.py [--device cuda] [--engine eager]

Prints tokens per second of all members together, over those of one run alone. Steps of all sizes
take turns, and the shortest of each counts, because other jobs share the machine.

    python benchmarks/packing.py --apart [--device cuda] [--engine eager]

Prints the difference of a member's losses from those of the same run alone, by peak LR, beside the
difference that moving one initial weight to the next float32 makes: the growth of rounding errors
in a training.
"""

from __future__ import annotations

import argparse

import numpy as np
import torch
from loops import ADAMW, Setting, device, engine_of, train

from scalinglab.scaling.engine.steps.engine import Member
from scalinglab.scaling.engine.steps.engines import ENGINES
from scalinglab.scaling.model.shape import Shape

SIZES = (1, 2, 4, 16)
LRS = (0.016, 0.064, 0.128, 0.256, 0.512)  # of --apart: from the best LR to the edge of stability
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
    parser.add_argument("--shapes", type=int, default=len(SHAPES), help="number of steps")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--apart", action="store_true", help="compare losses, not speed")
    parser.add_argument("--steps", type=int, default=256, help="of --apart")
    given = parser.parse_args(words)
    engine = given.engine or ("eager" if given.device == "cpu" else "captured")
    torch.set_num_threads(1)
    if given.apart:
        print_apart(engine, given.device, given.steps)
        return
    packed = "".join(f"{f'{k} packed':>12}" for k in SIZES[1:])
    print(f"{'depth x width':<42} tokens/s alone{packed}")
    for name, (shape, batch) in list(SHAPES.items())[: given.shapes]:
        rates = tokens_per_second(Setting(shape, batch, given.device), engine, given.rounds)
        ratios = "".join(f"{rates[k] / rates[1]:>11.2f}x" for k in SIZES[1:])
        print(f"{name:<42} {rates[1]:>14,.0f}{ratios}", flush=True)


def tokens_per_second(setting: Setting, name: str, rounds: int) -> dict[int, float]:
    """Tokens per second of packs of each size, all members together, by the shortest step."""
    engines = {k: engine_of(name, setting, k) for k in SIZES}
    tokens = {k: setting.tokens(1, k) for k in SIZES}
    times: dict[int, list[float]] = {k: [] for k in SIZES}
    for _ in range(rounds + 1):
        for k, engine in engines.items():
            times[k].append(train(engine, tokens[k])[0])
    return {
        k: k * setting.tokens_per_step / min(times[k][1:]) for k in SIZES
    }  # the first one warms up


def print_apart(name: str, device: str, steps: int) -> None:
    """Print a row per LR: the last loss, and largest relative differences up to some steps."""
    shape, batch = SHAPES["2 x 32, batch 16 x 128 (study lr_sweep)"]
    setting = Setting(shape, batch, device)
    tokens = chains(shape, batch, steps)
    lr = np.outer(wsd(steps), LRS)
    pack = losses(name, setting, np.repeat(tokens, len(LRS), 1), lr)
    at = [s for s in (steps // 8, steps // 4, steps // 2, steps) if s]
    print(
        f"{'peak LR':>8}{'last loss':>11}   pack of {len(LRS)}, up to step "
        f"{', '.join(map(str, at))}; one last bit of one weight, the same"
    )
    for i, peak in enumerate(LRS):
        alone = losses(name, setting, tokens, lr[:, i : i + 1])
        moved = losses(name, setting, tokens, lr[:, i : i + 1], nudge=True)
        found = [
            " ".join(f"{apart(other, alone[:, 0], s):8.1e}" for s in at)
            for other in (pack[:, i], moved[:, 0])
        ]
        print(f"{peak:>8}{alone[-1, 0]:>11.4f}   {found[0]}   {found[1]}", flush=True)


def losses(
    name: str, setting: Setting, tokens: np.ndarray, lr: np.ndarray, nudge: bool = False
) -> np.ndarray:
    """Losses of a training whose members have equal initial weights, (steps, members)."""
    members = [Member(0, ADAMW)] * tokens.shape[1]
    engine = ENGINES[name](setting.architecture, members, setting.device)
    if nudge:
        weights = engine.module.weights
        weights[0, -1] = weights[0, -1].nextafter(torch.ones_like(weights[0, -1]))
    return engine.train(tokens, lr, torch.Tensor.backward).loss


def apart(one: np.ndarray, other: np.ndarray, steps: int) -> float:
    """The largest relative difference of the first losses."""
    return float(np.max(np.abs(one - other)[:steps] / other[:steps]))


def wsd(steps: int) -> np.ndarray:
    """Shares of the peak LR: warm-up over a sixteenth, cooldown over the last fifth."""
    done = np.arange(steps)
    return np.minimum(1, np.minimum((done + 1) / (steps / 16), (steps - done) / (steps / 5)))


def chains(shape: Shape, batch: int, steps: int) -> np.ndarray:
    """Tokens (steps, 1, batch, context + 1) of a random Markov chain, which can be learnt."""
    rng = np.random.default_rng(0)
    bounds = rng.dirichlet(np.full(shape.vocab, 0.02), size=shape.vocab).cumsum(1)
    tokens = np.empty((steps, 1, batch, shape.context + 1), np.uint8)
    state = rng.integers(shape.vocab, size=(steps, 1, batch))
    for t in range(shape.context + 1):
        tokens[..., t] = state
        drawn = rng.random(state.shape)[..., None]
        state = np.minimum((bounds[state] < drawn).sum(-1), shape.vocab - 1)
    return tokens


if __name__ == "__main__":
    main()
