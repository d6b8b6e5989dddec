"""Hyperball: an optimizer that turns each matrix and leaves its length as it was.

Wen et al., arXiv 2606.16899. A base optimizer says where to go, u; of it only the direction counts,
and the matrix keeps the Frobenius norm R that it began with:

    W <- R normalize(W - lr R normalize(u)),    normalize(x) = x / |x|

The learning rate is thus an angle, and no weight decay is needed. Every base is wrapped in the same
way: it updates a copy in which the matrices are zeros, so that what it leaves there is -lr u and
its decay is nothing. Bases whose step depends on the weights themselves (adamp, adafactor,
schedule_free) cannot be wrapped so.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from torch import Tensor

from scalinglab import register
from scalinglab.scaling.engine.network.stacked import split
from scalinglab.scaling.engine.optimizers.optimizer import UPDATES
from scalinglab.scaling.fields import ABOVE_0, setting
from scalinglab.scaling.optimizers.optimizer import OPTIMIZERS

BASES = ("adamw", "nadamw", "lion", "sgd", "muon")


def wrap(base: str) -> None:
    """Register ``BASE_hyperball``: the keys of the base and ``rest_lr``, and its update."""
    settings: Any = OPTIMIZERS[base]
    update: Any = UPDATES[base]

    @register.optimizer(f"{base}_hyperball")
    @dataclass(frozen=True, kw_only=True)
    class Settings(settings):
        """Its steps as turns: hidden matrices keep their length."""

        # A rule for other parametrizations is not known: the angle is meant to be the same at all sizes.
        update_family: ClassVar[str | None] = None
        whole: ClassVar[tuple[str, ...]] = ("hidden",)  # a norm is one of a whole matrix
        update_floats: ClassVar[float] = settings.update_floats + 2  # the copy, and a matrix's step
        search_space: ClassVar[Mapping[str, Sequence[float]]] = {
            "optimizer.lr": (0.005, 0.01, 0.02, 0.04)
        }

        name: str = f"{base}_hyperball"
        rest_lr: float = setting(1.0, ABOVE_0)  # LR of all that is no hidden matrix, over theirs

        @property
        def family(self) -> str | None:
            return self.update_family

    @register.update(f"{base}_hyperball")
    class Hyperball(update):
        def __init__(self, *arguments: Any, **named: Any) -> None:
            super().__init__(*arguments, **named)
            self.turned = [
                name
                for name, size in self.sizes.items()
                if self.rules[name].role == "hidden" and len(size) > 1
            ]
            self.all_else_lr = self.column("rest_lr")

        def update(self, weights: Tensor, gradient: Tensor, lr: Tensor, count: Any) -> None:
            matrices, moved = split(weights, self.sizes), weights.clone()
            steps = split(moved, self.sizes)
            for name in self.turned:
                steps[name].zero_()
            super().update(moved, gradient, lr * self.all_else_lr, count)
            for name in self.turned:
                angle = (lr * self.rules[name].lr).float().view(-1, 1, 1)
                matrix, radius = matrices[name], norms(matrices[name])
                turned = matrix + angle * radius * steps[name] / norms(steps[name])
                steps[name].copy_(turned * (radius / norms(turned)))
            weights.copy_(moved)


def norms(matrices: Tensor) -> Tensor:
    """Frobenius norms of (k, A, B), shape (k, 1, 1); tiny where a matrix is all zeros."""
    return torch.linalg.vector_norm(matrices, dim=(-2, -1), keepdim=True).clamp(min=1e-30)


for _base in BASES:
    wrap(_base)
