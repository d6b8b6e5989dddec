"""The compared loops: our engine, a bare loop, and Lightning's.

All train the same transformer from the same weights on the same tokens with AdamW and clipping, in
the same precision, and read their losses once at the end, which waits for the device. The bare loop
is torch's modules and its fused AdamW; Lightning's is its automatic optimization, barebones.
"""

from __future__ import annotations

import argparse
import importlib
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from scalinglab.scaling.engine.network.initialization import initial_weights
from scalinglab.scaling.engine.network.transformer import Transformer
from scalinglab.scaling.engine.steps.eager import check_device
from scalinglab.scaling.engine.steps.engine import Engine, Member
from scalinglab.scaling.engine.steps.engines import ENGINES
from scalinglab.scaling.model.architecture import Architecture
from scalinglab.scaling.model.shape import Shape
from scalinglab.scaling.optimizers.adamw import AdamWConfig
from scalinglab.scaling.run.step_options import StepOptions

ADAMW = AdamWConfig(beta1=0.9, beta2=0.95, epsilon=1e-8, weight_decay=0.1, clip=1.0)
LR = 1e-3

Loop = Callable[[np.ndarray], tuple[float, np.ndarray]]
"""Tokens (steps, members, batch, context + 1) to the seconds they took and losses (steps, members).
"""


@dataclass(frozen=True)
class Setting:
    """Setting of all loops of a comparison; ``micro_batch`` is for the engine only.

    ``model`` has options of the network that differ from the default recipe's.
    """

    shape: Shape
    batch: int
    device: str = "cpu"
    micro_batch: int | None = None
    options: StepOptions = StepOptions()
    model: Mapping[str, Any] = field(default_factory=dict)

    @property
    def architecture(self) -> Architecture:
        """The model of the default recipe, in this shape."""
        return Architecture(self.shape, **self.model)

    @property
    def tokens_per_step(self) -> int:
        """Tokens of one step of one member."""
        return self.batch * self.shape.context

    def tokens(self, steps: int, members: int = 1) -> np.ndarray:
        """Random tokens (steps, members, batch, context + 1), in the narrow type of stores."""
        size = (steps, members, self.batch, self.shape.context + 1)
        narrow = np.min_scalar_type(self.shape.vocab - 1)
        return np.random.default_rng(0).integers(self.shape.vocab, size=size, dtype=narrow)


def transformer(depth: int, width: int, head_dim: int, context: int, vocab: int) -> Shape:
    """A shape by its dial."""
    return Shape(depth, width, max(1, width // head_dim), 4 * width, context, vocab)


def device(text: str) -> str:
    """A device of this machine, from the command line."""
    try:
        check_device(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None
    return text


def parsed(
    parser: argparse.ArgumentParser,
    words: list[str] | None,
    on_a_cpu: Mapping[str, Any],
    on_a_gpu: Mapping[str, Any],
) -> argparse.Namespace:
    """A command line whose ``--device`` chooses the defaults of the other options."""
    given = parser.parse_args(words)
    for name, value in (on_a_cpu if given.device == "cpu" else on_a_gpu).items():
        if getattr(given, name) is None:
            setattr(given, name, value)
    return given


def engine_of(name: str, setting: Setting, members: int = 1) -> Engine:
    """Our engine by name, its members differing in their seeds."""
    return ENGINES[name](
        setting.architecture,
        [Member(seed, ADAMW) for seed in range(members)],
        setting.device,
        setting.micro_batch,
        setting.options,
    )


def ours(name: str, setting: Setting, members: int) -> Loop:
    """Chunks of our engine."""
    return partial(train, engine_of(name, setting, members))


def train(engine: Engine, tokens: np.ndarray) -> tuple[float, np.ndarray]:
    """One chunk of the engine: seconds, and losses (steps, members)."""
    lr = np.full(tokens.shape[:2], LR)
    start = time.perf_counter()
    losses = engine.train(tokens, lr, Tensor.backward).loss
    return time.perf_counter() - start, losses


class Plain(nn.Module):
    """Our model and its mean loss, without our engine."""

    def __init__(self, setting: Setting) -> None:
        super().__init__()
        self.model = Transformer(setting.architecture)
        self.model.load_state_dict(dict(initial_weights(setting.architecture, seed=0)))
        self.half = setting.options.precision == "bf16"

    def forward(self, batch_BT: Tensor) -> Tensor:
        with torch.autocast(batch_BT.device.type, torch.bfloat16, self.half):
            logits_NV = self.model(batch_BT[:, :-1]).flatten(0, 1)
            return F.cross_entropy(logits_NV.float(), batch_BT[:, 1:].flatten())


def adamw(module: nn.Module) -> torch.optim.Optimizer:
    """Torch's fused AdamW, with decay on the matrices except embeddings, as in our recipe."""
    decayed, others = [], []
    for name, parameter in module.named_parameters():
        kept = parameter.ndim < 2 or "embedding" in name
        (others if kept else decayed).append(parameter)
    groups = [
        {"params": decayed, "weight_decay": ADAMW.weight_decay},
        {"params": others, "weight_decay": 0.0},
    ]
    return torch.optim.AdamW(groups, LR, (ADAMW.beta1, ADAMW.beta2), ADAMW.epsilon, fused=True)


def compiled(module: nn.Module, mode: str | None) -> nn.Module:
    """Compile a module with ``torch.compile`` in a mode; without a mode return it unchanged."""
    return module if mode is None else torch.compile(module, dynamic=False, mode=mode)


def bare(mode: str | None, setting: Setting, members: int) -> Loop:
    """A plain training loop."""
    alone(members)
    plain = Plain(setting).to(setting.device)
    optimizer, loss_of = adamw(plain), compiled(plain, mode)

    def run(tokens: np.ndarray) -> tuple[float, np.ndarray]:
        losses, batches = [], as_loaded(tokens)
        start = time.perf_counter()
        for batch in batches.to(setting.device):
            optimizer.zero_grad()
            loss = loss_of(batch)
            loss.backward()
            nn.utils.clip_grad_norm_(plain.parameters(), ADAMW.clip)
            optimizer.step()
            losses.append(loss.detach().clone())  # a CUDA graph would overwrite it
        found = torch.stack(losses)[:, None].cpu().numpy()
        return time.perf_counter() - start, found

    return run


def as_loaded(tokens: np.ndarray) -> Tensor:
    """Batches of the only member as data loaders give them, int64 (steps, batch, context + 1)."""
    return torch.from_numpy(tokens[:, 0]).long()


def alone(members: int) -> None:
    """Refuse a pack."""
    if members > 1:
        raise ValueError(f"{members} members: only the engine trains packs")


def lightning(mode: str | None, setting: Setting, members: int) -> Loop:
    """Lightning's own loop, imported only when it is used."""
    alone(members)
    module = importlib.import_module("lightning_loop")
    return module.automatic(compiled(Plain(setting), mode), setting.device)


LOOPS: Mapping[str, Callable[[Setting, int], Loop]] = {
    "bare": partial(bare, None),
    "bare-compiled": partial(bare, "default"),
    "bare-reduce-overhead": partial(bare, "reduce-overhead"),
    "lightning": partial(lightning, None),
    "lightning-compiled": partial(lightning, "default"),
    **{name: partial(ours, name) for name in ENGINES},
}
