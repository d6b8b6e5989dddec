"""Adafactor: second moments as the product of a row and a column."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from scalinglab.scaling.engine.network.stacked import split
from scalinglab.scaling.engine.optimizers.optimizer import UPDATES, Optimizer


@UPDATES.register("adafactor")
class Adafactor(Optimizer):
    """arXiv 1804.04235 without momentum, equal to ``torch.optim.Adafactor`` per member.

    The LR is relative to the rms of each tensor and is at most 1 / sqrt(step).
    """

    def __init__(self, *arguments: Any, **named: Any) -> None:
        super().__init__(*arguments, **named)
        self.beta2_decay = self.column("beta2_decay")
        self.scale_floor = self.column("scale_floor").float()
        self.update_clip = self.column("update_clip").float()
        matrices = {n: s for n, s in self.sizes.items() if len(s) > 1}
        vectors = {n: s for n, s in self.sizes.items() if len(s) < 2}
        self.row = self._zeros({n: (*s[:-1], 1) for n, s in matrices.items()})
        self.column_ = self._zeros({n: (*s[:-2], 1, s[-1]) for n, s in matrices.items()})
        self.second = self._zeros(vectors)
        self.moments = {"row": self.row, "column": self.column_, "second": self.second}

    def _zeros(self, sizes: dict[str, Any]) -> dict[str, Tensor]:
        k = len(self.settings)
        return {n: torch.zeros(k, *size, device=self.device) for n, size in sizes.items()}

    def update(self, weights: Tensor, gradient: Tensor, lr: Tensor, count: int) -> None:
        """See ``Optimizer.update``."""
        renewal = count**self.beta2_decay  # 1 - beta2 falls with the steps (1804.04235, 7.2)
        weight_by_name = split(weights, self.sizes)
        for name, grad in split(gradient, self.sizes).items():
            weight, rule = weight_by_name[name], self.rules[name]
            rate = (lr * rule.lr).float()
            size = rate.clamp(max=count**-0.5) * torch.maximum(_rms(weight), self.scale_floor)
            weight.mul_(_like(1 - rate * self.weight_decay.float() * rule.weight_decay, weight))
            variance = self._variance(name, grad, _like(renewal.float(), weight))
            # As in torch.optim.Adafactor, eps is the floor of the root: squared, of the variance.
            step = variance.clamp_(min=torch.finfo(torch.float32).eps ** 2).rsqrt_().mul_(grad)
            # 1804.04235, 6: where gradients grow, an old second moment makes a step too long.
            size = size / (_rms(step) / self.update_clip).clamp(min=1.0)
            weight.addcmul_(step, -_like(size, weight))

    def _variance(self, name: str, gradient: Tensor, renewal: Tensor) -> Tensor:
        """Average the gradient into the second moment, and return its estimate."""
        square = gradient.square()
        if name in self.second:
            return self.second[name].lerp_(square, renewal).clone()
        row, column = self.row[name], self.column_[name]
        row.lerp_(square.mean(dim=-1, keepdim=True), renewal)
        column.lerp_(square.mean(dim=-2, keepdim=True), renewal)
        # 1804.04235 section 3: the rank-one matrix with these row and column sums.
        floor = torch.finfo(torch.float32).eps
        return row * column / row.mean(dim=-2, keepdim=True).clamp(min=floor)


def _rms(tensor: Tensor) -> Tensor:
    """Root mean square of each member's part of a tensor (k, ...), (k, 1)."""
    flat = tensor.flatten(1)
    return flat.norm(dim=1, keepdim=True) / flat.shape[1] ** 0.5


def _like(column: Tensor, tensor: Tensor) -> Tensor:
    """A column (k, 1) in the shape that multiplies a tensor (k, ...)."""
    return column.view(-1, *[1] * (tensor.dim() - 1))
