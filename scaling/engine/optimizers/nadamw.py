"""NAdamW: AdamW with Nesterov's momentum."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from scalinglab.scaling.engine.optimizers.adamw import AdamW
from scalinglab.scaling.engine.optimizers.optimizer import UPDATES


@UPDATES.register("nadamw")
class NAdamW(AdamW):
    """NAdam (Dozat 2016) with decoupled decay, equal to ``torch.optim.NAdam`` per member."""

    def __init__(self, *arguments: Any, **named: Any) -> None:
        super().__init__(*arguments, **named)
        self.momentum_decay = self.column("momentum_decay")
        self.product = torch.ones_like(self.beta1)  # of the momenta of all updates so far
        self.moments["momentum"] = {"product": self.product}

    def update(self, weights: Tensor, gradient: Tensor, lr: Tensor, count: int) -> None:
        """See ``Optimizer.update``."""
        self.decay(weights, lr)
        self.first.lerp_(gradient, (1 - self.beta1).float())
        scale = self.scale(gradient, count)
        momentum, ahead = self._momentum(count), self._momentum(count + 1)
        self.product *= momentum
        direction = gradient * ((1 - momentum) / (1 - self.product)).float()
        direction += self.first * (ahead / (1 - self.product * ahead)).float()
        self.move(weights, direction / scale, lr)

    def _momentum(self, count: int) -> Tensor:
        # Dozat's warm-up of the momentum, with his 0.96: it rises to beta1.
        return self.beta1 * (1 - 0.5 * 0.96 ** (count * self.momentum_decay))
