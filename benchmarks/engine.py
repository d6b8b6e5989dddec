"""Tokens a second of our engine beside a bare loop and a plain Lightning one.

    python benchmarks/engine.py --widths 64 128 --packs 4 8            # on this CPU, one thread
    python benchmarks/engine.py --device cuda --widths 64 256 --packs 4 16 --compiled

All train the same transformer with AdamW, clipping and the same tokens; they take turns, so that a
noisy machine is noisy to all, and medians over the rounds are compared. A pack's rate is that of
its members together. The bare loop is torch's modules and torch.optim.AdamW (fused on a GPU);
Lightning's is its automatic optimization, barebones, timed between batches.
"""

from __future__ import annotations

import argparse
import itertools
import logging
import statistics
import time
import warnings
from collections.abc import Callable

import lightning
import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from scaling.engine.eager import ENGINES, Member
from scaling.model.architecture import Architecture, Shape
from scaling.model.initialization import initial_weights
from scaling.model.transformer import Transformer
from scaling.optimizer_settings import AdamWSettings

ADAMW = AdamWSettings(beta1=0.9, beta2=0.95, epsilon=1e-8, weight_decay=0.1, clip=1.0)
LR = 1e-3
Contestant = Callable[[int], float]  # steps -> seconds


def main() -> None:
    """Measure and print one table."""
    given = arguments()
    torch.set_num_threads(1)
    for name in ("lightning.pytorch", "lightning.fabric"):
        logging.getLogger(name).setLevel(logging.ERROR)
    warnings.filterwarnings("ignore")
    print(f"{given.device}, depth {given.depth}, {given.batch} x {given.context} tokens a step")
    for width in given.widths:
        shape = Shape(given.depth, width, width // 32, 4 * width, given.context, 256)
        print(f"\nwidth {width}")
        table(contestants(Architecture(shape), given), given)


def arguments() -> argparse.Namespace:
    """What to measure."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--widths", type=int, nargs="+", default=[64, 128])
    parser.add_argument("--packs", type=int, nargs="*", default=[4])
    parser.add_argument("--depth", type=int, default=4)
    parser.add_argument("--batch", type=int, default=8)
    parser.add_argument("--context", type=int, default=128)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--steps", type=int, default=20, help="of one turn")
    parser.add_argument("--compiled", action="store_true", help="torch.compile, ours and bare")
    return parser.parse_args()


def table(runners: dict[str, tuple[Contestant, int]], given: argparse.Namespace) -> None:
    """Let all take turns and print medians, and ratios to the bare loop of the same round."""
    rates: dict[str, list[float]] = {name: [] for name in runners}
    for run, _ in runners.values():
        run(2)
    for _ in range(given.rounds):
        for name, (run, members) in runners.items():
            tokens = given.steps * members * given.batch * given.context
            rates[name].append(tokens / run(given.steps))
    for name, found in rates.items():
        ratio = statistics.median(a / b for a, b in zip(found, rates["bare loop"], strict=True))
        print(f"  {name:24s} {statistics.median(found):12,.0f} tokens/s   {ratio:5.2f} of bare")


def contestants(
    architecture: Architecture, given: argparse.Namespace
) -> dict[str, tuple[Contestant, int]]:
    """Each with how many members it trains."""
    found = {"bare loop": (bare(architecture, given), 1),
             "Lightning, automatic": (automatic(architecture, given), 1)}
    for k in (1, *given.packs):
        name = "engine, alone" if k == 1 else f"engine, pack of {k}"
        found[name] = (ours(architecture, given, "eager", k), k)
    if given.compiled:
        found["bare loop, compiled"] = (bare(architecture, given, compiled=True), 1)
        found["engine, compiled"] = (ours(architecture, given, "compiled", 1), 1)
    return found


def ours(architecture: Architecture, given: argparse.Namespace, name: str, k: int) -> Contestant:
    """Chunks of our engine."""
    engine = ENGINES[name](architecture, [Member(s, ADAMW) for s in range(k)], given.device)

    def run(steps: int) -> float:
        tokens, lr = batches(architecture, given, steps, k), np.full((steps, k), LR)
        start = time.perf_counter()
        engine.train(tokens, lr, Tensor.backward)
        return time.perf_counter() - start

    return run


def bare(
    architecture: Architecture, given: argparse.Namespace, compiled: bool = False
) -> Contestant:
    """A loop as one writes it."""
    model = plain_model(architecture).to(given.device)
    optimizer = adamw(model, given.device)
    forward = torch.compile(model, dynamic=False) if compiled else model

    def run(steps: int) -> float:
        tokens = torch.from_numpy(batches(architecture, given, steps, 1)[:, 0])
        start = time.perf_counter()
        for batch in tokens.to(given.device):
            optimizer.zero_grad()
            loss = cross_entropy(forward, batch)
            loss.backward()
            nn.utils.clip_grad_norm_(model.parameters(), ADAMW.clip)
            optimizer.step()
        loss.item()
        return time.perf_counter() - start

    return run


class Automatic(lightning.LightningModule):
    """A module as Lightning's guide writes it; remembers when batches ended."""

    def __init__(self, model: nn.Module, device: str) -> None:
        super().__init__()
        self.model, self.where, self.ends = model, device, []

    def training_step(self, batch: Tensor, index: int) -> Tensor:
        return cross_entropy(self.model, batch)

    def on_train_batch_end(self, *_: object) -> None:
        self.ends.append(time.perf_counter())

    def configure_optimizers(self) -> torch.optim.Optimizer:
        return adamw(self.model, self.where)


def automatic(architecture: Architecture, given: argparse.Namespace) -> Contestant:
    """Lightning's own loop; each turn is a fit, timed from its second batch on."""
    model = plain_model(architecture)

    def run(steps: int) -> float:
        tokens = torch.from_numpy(batches(architecture, given, steps + 2, 1)[:, 0])
        module = Automatic(model, given.device)
        trainer = lightning.Trainer(
            accelerator="cpu" if given.device == "cpu" else "gpu", devices=1, max_epochs=1,
            barebones=True, gradient_clip_val=ADAMW.clip,
        )  # fmt: skip
        trainer.fit(module, torch.utils.data.DataLoader(tokens, batch_size=None))
        if given.device != "cpu":
            torch.cuda.synchronize()
            module.ends[-1] = time.perf_counter()
        return module.ends[-1] - module.ends[1]

    return run


def plain_model(architecture: Architecture) -> Transformer:
    """Our model without our engine."""
    model = Transformer(architecture)
    model.load_state_dict(initial_weights(architecture, seed=0))
    return model


def adamw(model: nn.Module, device: str) -> torch.optim.Optimizer:
    """Torch's own."""
    return torch.optim.AdamW(
        model.parameters(), LR, (ADAMW.beta1, ADAMW.beta2), ADAMW.epsilon, ADAMW.weight_decay,
        fused=device != "cpu",
    )  # fmt: skip


def cross_entropy(model: Callable[[Tensor], Tensor], batch_BT: Tensor) -> Tensor:
    """Mean loss of sequences that carry their targets."""
    return F.cross_entropy(model(batch_BT[:, :-1]).flatten(0, 1), batch_BT[:, 1:].flatten())


seeds = itertools.count()


def batches(
    architecture: Architecture, given: argparse.Namespace, steps: int, k: int
) -> np.ndarray:
    """Random tokens (steps, k, batch, context + 1)."""
    size = (steps, k, given.batch, given.context + 1)
    return np.random.default_rng(next(seeds)).integers(architecture.shape.vocab, size=size)


if __name__ == "__main__":
    main()
