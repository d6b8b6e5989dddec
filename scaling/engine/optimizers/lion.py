"""Lion: the sign of an interpolated momentum."""

from __future__ import annotations

from typing import Any

from torch import Tensor

from scalinglab.scaling.engine.optimizers.optimizer import UPDATES, Optimizer


@UPDATES.register("lion")
class Lion(Optimizer):
    """Algorithm 2 of arXiv 2302.06675: beta1 of the momentum is in the step, beta2 stays of it."""

    def __init__(self, *arguments: Any, **named: Any) -> None:
        super().__init__(*arguments, **named)
        self.first = self.zeros()
        self.moments = {"first": self.first}
        self.beta1, self.beta2 = self.column("beta1"), self.column("beta2")

    def update(self, weights: Tensor, gradient: Tensor, lr: Tensor, count: int) -> None:
        """See ``Optimizer.update``."""
        self.decay(weights, lr)
        mixed = self.first.lerp(gradient, (1 - self.beta1).float())
        # The sign of what is not a number is 0: a member that diverged would just stand still.
        self.move(weights, mixed.sign() + 0 * mixed, lr)
        self.first.lerp_(gradient, (1 - self.beta2).float())
