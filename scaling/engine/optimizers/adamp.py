"""AdamP: AdamW that does not grow the norm of scale-invariant weights."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from scalinglab.scaling.engine.network.stacked import split
from scalinglab.scaling.engine.optimizers.adamw import AdamW
from scalinglab.scaling.engine.optimizers.optimizer import UPDATES


@UPDATES.register("adamp")
class AdamP(AdamW):
    """AdamW whose update loses its radial part where weights are scale-invariant (2006.08217).

    Weights count as scale-invariant where they are orthogonal to their gradient (rows first, then
    the whole tensor); there weight decay is weaker. Vectors are updated by AdamW.
    """

    def __init__(self, *arguments: Any, **named: Any) -> None:
        super().__init__(*arguments, **named)
        self.delta, self.decay_ratio = self.column("delta"), self.column("decay_ratio")

    def update(self, weights: Tensor, gradient: Tensor, lr: Tensor, count: int) -> None:
        """See ``Optimizer.update``."""
        self.first.lerp_(gradient, (1 - self.beta1).float())
        correction = (1 - self.beta1**count).float()
        direction = self.first / self.scale(gradient, count)
        views = (split(v, self.sizes) for v in (weights, gradient, direction))
        for name, weight, grad, step in zip(self.sizes, *(v.values() for v in views), strict=True):
            rule = self.rules[name]
            ratio = torch.ones_like(lr)
            if weight.dim() > 2:
                ratio = self._project(weight, grad, step)
            rate = (lr * rule.lr).view(-1, *[1] * (weight.dim() - 1))
            decay = rate * (ratio * self.weight_decay).view_as(rate) * rule.weight_decay
            weight.mul_((1 - decay).float())
            weight.addcmul_(step, -(rate / correction.view_as(rate)).float())

    def _project(self, weight: Tensor, gradient: Tensor, step: Tensor) -> Tensor:
        """Take the radial part out of `step`; returns each member's factor of decay, (k, 1)."""
        k = len(weight)
        is_projected = torch.zeros(k, 1, dtype=torch.bool, device=weight.device)
        for rows in (weight[0, ..., 0].numel(), 1):
            w, g, s = (t.reshape(k, rows, -1) for t in (weight, gradient, step))
            cosine = torch.cosine_similarity(g, w, dim=2, eps=1e-8).abs()
            limit = (self.delta / w.shape[2] ** 0.5).float()
            is_invariant = (cosine.amax(1, keepdim=True) < limit) & ~is_projected
            unit = w / (w.norm(dim=2, keepdim=True) + 1e-8)
            radial = unit * (unit * s).sum(2, keepdim=True)
            step.sub_(torch.where(is_invariant[:, :, None], radial, 0).view_as(step))
            is_projected |= is_invariant
        return torch.where(is_projected, self.decay_ratio, 1.0)
