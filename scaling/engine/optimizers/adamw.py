"""AdamW over all members of a pack at once."""

from __future__ import annotations

from typing import Any

from torch import Tensor

from scalinglab.scaling.engine.optimizers.optimizer import UPDATES, Optimizer, scaled


@UPDATES.register("adamw")
class AdamW(Optimizer):
    """Adam with decoupled decay (arXiv 1711.05101), equal to ``torch.optim.AdamW`` per member."""

    def __init__(self, *arguments: Any, **named: Any) -> None:
        super().__init__(*arguments, **named)
        self.first, self.second = self.zeros(), self.zeros()
        self.moments = {"first": self.first, "second": self.second}
        self.beta1, self.beta2 = self.column("beta1"), self.column("beta2")
        self._epsilon = self.column("epsilon").float()
        self._epsilon_P = self.multipliers({n: self.rules[n].epsilon for n in self.sizes})

    def update(self, weights: Tensor, gradient: Tensor, lr: Tensor, count: int) -> None:
        """See ``Optimizer.update``."""
        self.decay(weights, lr)
        self.first.lerp_(gradient, (1 - self.beta1).float())
        self.move(weights, self.first / self.scale(gradient, count), lr / (1 - self.beta1**count))

    def scale(self, gradient: Tensor, count: int) -> Tensor:
        """Average the gradient into the second moment; returns its corrected root plus epsilon."""
        self.second.mul_(self.beta2.float())
        self.second.addcmul_(gradient * (1 - self.beta2).float(), gradient)
        correction = (1 - self.beta2**count).sqrt().float()
        return self.second.sqrt().div_(correction).add_(scaled(self._epsilon, self._epsilon_P))
