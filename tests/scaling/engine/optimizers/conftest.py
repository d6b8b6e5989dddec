"""Three members with seven tensors, random gradients, and a run of any optimizer over them."""

from __future__ import annotations

import functools
import sys
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from scalinglab.scaling.engine.network.stacked import split
from scalinglab.scaling.engine.optimizers.optimizer import build_optimizer
from scalinglab.scaling.model.parametrization import TensorRule
from scalinglab.scaling.optimizers.optimizer import OPTIMIZERS

SIZES = {
    name: torch.Size(size)
    for name, size in {
        "embedding": (7, 6),
        "wide": (6, 24),
        "gain": (6,),
        "tall": (24, 6),
        "other": (6, 24),
        "square": (8, 8),
        "head": (7, 6),
    }.items()
}
RULES = {
    "embedding": TensorRule("embedding", 1.0, weight_decay=0.0),
    "wide": TensorRule("hidden", 1.0),
    "gain": TensorRule("gain", 1.0, weight_decay=0.0),
    "tall": TensorRule("hidden", 1.0),
    "other": TensorRule("hidden", 1.0),
    "square": TensorRule("hidden", 1.0),
    "head": TensorRule("head", 1.0),
}
COMMON = [
    {"weight_decay": 0.1, "clip": 1e9},
    {"weight_decay": 0.0, "clip": 0.5},
    {"weight_decay": 1.0, "clip": 1e9},
]
ADAM = [
    {"beta1": 0.9, "beta2": 0.95, "epsilon": 1e-8},
    {"beta1": 0.8, "beta2": 0.999, "epsilon": 1e-6},
    {"beta1": 0.5, "beta2": 0.9, "epsilon": 1e-3},
]
STEPS = 24
LR = 0.02 * np.random.default_rng(0).random((STEPS, 3))
P = sum(size.numel() for size in SIZES.values())


def settings(name: str, **own: Any) -> list[Any]:
    """One for each member; keys that the optimizer does not use are left out."""
    kind = OPTIMIZERS[name]
    values = [a | b | own for a, b in zip(COMMON, ADAM, strict=True)]
    used = kind.__dataclass_fields__
    return [kind(**{k: v for k, v in value.items() if k in used}) for value in values]


def start() -> Tensor:
    return torch.randn(3, P, generator=torch.Generator().manual_seed(1))


@functools.cache
def gradients() -> Tensor:
    return torch.randn(STEPS, 3, P, generator=torch.Generator().manual_seed(2)) * 0.2


class Trained:
    """The end of a run over the rows `rows` of all members."""

    def __init__(self, members: list[Any], rows: slice = slice(None), rules: Any = RULES) -> None:
        self.weights = start()[rows].clone()
        self.optimizer = build_optimizer(members[rows], SIZES, rules, "cpu")
        self.optimizer.start(self.weights)
        self.rows = rows

    def run(self, first: int = 0, last: int = STEPS, poison: bool = False) -> Trained:
        """Updates first + 1 to last."""
        for s in range(first, last):
            gradient = gradients()[s, self.rows].clone()
            if poison and s == 3:
                gradient[0, 100] = torch.nan
            self.optimizer.step(self.weights, gradient, torch.from_numpy(LR[s, self.rows]), s + 1)
        return self

    def tensor(self, name: str, member: int) -> Tensor:
        return split(self.weights, SIZES)[name][member]


@pytest.fixture(scope="session")
def lab() -> Any:
    """All of this file."""
    return sys.modules[__name__]


@pytest.fixture(scope="session")
def torch_trained() -> Callable[..., dict[str, Tensor]]:
    """A member trained tensor by tensor with optimizers of torch's interface."""

    def run(member: int, build: Callable[[str, Tensor, float], Any]) -> dict[str, Tensor]:
        parameters = {
            n: torch.nn.Parameter(w[member].clone()) for n, w in split(start(), SIZES).items()
        }
        optimizers = {
            n: build(n, p, COMMON[member]["weight_decay"] * RULES[n].weight_decay)
            for n, p in parameters.items()
        }
        for s in range(STEPS):
            for n, gradient in split(gradients()[s].clone(), SIZES).items():
                parameters[n].grad = gradient[member]
            torch.nn.utils.clip_grad_norm_(list(parameters.values()), COMMON[member]["clip"])
            for optimizer in optimizers.values():
                for group in optimizer.param_groups:
                    group["lr"] = float(LR[s, member])
                optimizer.step()
        return {n: p.detach() for n, p in parameters.items()}

    return run
