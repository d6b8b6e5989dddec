"""Stochastic gradient descent with momentum."""

from __future__ import annotations

from typing import Any

from torch import Tensor

from scalinglab.scaling.engine.optimizers.optimizer import UPDATES, Optimizer, scaled


@UPDATES.register("sgd")
class SGD(Optimizer):
    """Equal to ``torch.optim.SGD`` per member; weight decay is added to the gradient."""

    coupled = True

    def __init__(self, *arguments: Any, **named: Any) -> None:
        super().__init__(*arguments, **named)
        self.first = self.zeros()
        self.moments = {"first": self.first}
        self.momentum = self.column("momentum").float()
        self.nesterov = self.common("nesterov")

    def update(self, weights: Tensor, gradient: Tensor, lr: Tensor, count: int) -> None:
        """See ``Optimizer.update``."""
        gradient.addcmul_(scaled(weights, self._decay_P), self.weight_decay.float())
        self.first.mul_(self.momentum).add_(gradient)
        direction = gradient.addcmul_(self.first, self.momentum) if self.nesterov else self.first
        self.move(weights, direction, lr)
