"""Normalised gradient descent: steps of a set length."""

from __future__ import annotations

from typing import Any

from torch import Tensor

from scalinglab.scaling.engine.optimizers.optimizer import UPDATES, Optimizer


@UPDATES.register("normalized")
class Normalized(Optimizer):
    """w -= lr m / ||m|| with m an average of gradients (arXiv 2002.03305), decoupled decay."""

    def __init__(self, *arguments: Any, **named: Any) -> None:
        super().__init__(*arguments, **named)
        self.first = self.zeros()
        self.moments = {"first": self.first}
        self.momentum = self.column("momentum")

    def update(self, weights: Tensor, gradient: Tensor, lr: Tensor, count: int) -> None:
        """See ``Optimizer.update``."""
        self.decay(weights, lr)
        self.first.lerp_(gradient, (1 - self.momentum).float())
        length = self.norm(self.first).clamp(min=1e-12)
        self.move(weights, self.first / length, lr)
