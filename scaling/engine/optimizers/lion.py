"""Lion: the sign of an interpolated momentum."""

from __future__ import annotations

from typing import Any

from torch import Tensor

from scalinglab.scaling.engine.optimizers.optimizer import UPDATES, Optimizer


@UPDATES.register("lion")
class Lion(Optimizer):
    """Algorithm 2 of arXiv 2302.06675: beta1 mixes the step, beta2 averages the momentum."""

    def __init__(self, *arguments: Any, **named: Any) -> None:
        super().__init__(*arguments, **named)
        self.first = self.zeros()
        self.moments = {"first": self.first}
        self.beta1, self.beta2 = self.column("beta1"), self.column("beta2")

    def update(self, weights: Tensor, gradient: Tensor, lr: Tensor, count: int) -> None:
        """See ``Optimizer.update``."""
        self.decay(weights, lr)
        mixed = self.first.lerp(gradient, (1 - self.beta1).float())
        # + 0 * mixed keeps NaN, whose sign is 0: else a diverged member would only stand still.
        self.move(weights, mixed.sign() + 0 * mixed, lr)
        self.first.lerp_(gradient, (1 - self.beta2).float())
