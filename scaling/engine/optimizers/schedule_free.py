"""Schedule-free AdamW: an average of the iterates takes the place of a decaying LR."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from scalinglab.scaling.engine.optimizers.adamw import AdamW
from scalinglab.scaling.engine.optimizers.optimizer import UPDATES, scaled


@UPDATES.register("schedule_free")
class ScheduleFree(AdamW):
    """arXiv 2405.15682. The trained weights are y, between the iterates z and their average x.

    The LR is a warm-up and then constant. Validation is measured at x, which is a function of y
    and z; decay acts at y, as in the authors' code.
    """

    coupled = True

    def __init__(self, *arguments: Any, **named: Any) -> None:
        super().__init__(*arguments, **named)
        k = len(self.settings)
        self.iterate = self.zeros()
        self.power = self.column("average_power")
        self.largest_lr, self.weight_sum = (
            torch.zeros(k, 1, dtype=torch.float64, device=self.device) for _ in range(2)
        )
        self.moments = {
            "iterate": self.iterate,
            "second": self.second,
            "average": {"largest_lr": self.largest_lr, "weight_sum": self.weight_sum},
        }
        del self.first  # the interpolation of y takes the place of a first moment

    def start(self, weights: Tensor) -> None:
        """See ``Optimizer.start``."""
        self.iterate.copy_(weights)

    def update(self, weights: Tensor, gradient: Tensor, lr: Tensor, count: int) -> None:
        """See ``Optimizer.update``."""
        torch.maximum(self.largest_lr, lr, out=self.largest_lr)
        # By the largest LR so far, as in the authors' code: steps of the warm-up count little.
        weight = self.largest_lr**self.power
        self.weight_sum += weight
        share = torch.where(self.weight_sum > 0, weight / self.weight_sum, 0.0)
        direction = gradient / self.scale(gradient, count)
        direction.addcmul_(scaled(weights, self._decay_P), self.weight_decay.float())
        weights.lerp_(self.iterate, share.float())
        self.move(weights, direction, lr * (1 - self.beta1 * (1 - share)))
        self.move(self.iterate, direction, lr)

    def evaluation_weights(self, weights: Tensor) -> Tensor:
        """The average x = y + (1 - 1 / beta1) (z - y); before the first update, y itself."""
        started = self.weight_sum > 0
        return weights.lerp(self.iterate, torch.where(started, 1 - 1 / self.beta1, 0.0).float())
