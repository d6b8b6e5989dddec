"""Optimizers with an update of their own for hidden matrices, and AdamW for all other tensors."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping, Sequence

import torch
from torch import Tensor

from scalinglab.scaling.engine.network.stacked import split
from scalinglab.scaling.engine.optimizers.adamw import AdamW
from scalinglab.scaling.engine.optimizers.optimizer import Optimizer
from scalinglab.scaling.model.parametrization import TensorRule
from scalinglab.scaling.optimizers.adamw import AdamWConfig


class MatrixOptimizer(Optimizer):
    """Updates hidden matrices of equal shape at once, stacked to (k, m, A, B)."""

    def __init__(
        self,
        settings: Sequence[AdamWConfig],
        sizes: Mapping[str, torch.Size],
        rules: Mapping[str, TensorRule],
        device: str = "cpu",
    ) -> None:
        super().__init__(settings, sizes, rules, device)
        # AdamW updates embedding, head, gains and biases, as the author of Muon advises.
        self.groups: dict[torch.Size, list[str]] = {}
        for name, size in sizes.items():
            if rules[name].role == "hidden" and len(size) > 1:
                self.groups.setdefault(size, []).append(name)
        hidden = {n for names in self.groups.values() for n in names}
        by_adamw = {n: s for n, s in sizes.items() if n not in hidden}
        self.adamw = AdamW(settings, by_adamw, rules, device)
        self.moments = {
            "first": split(self.adamw.first, by_adamw),
            "second": split(self.adamw.second, by_adamw),
        }

    @abstractmethod
    def direction(self, size: torch.Size, gradient: Tensor, count: int) -> Tensor:
        """The update to subtract from the matrices of one size at an LR of 1, (k, m, A, B)."""

    def lr_of_adamw(self, lr: Tensor) -> Tensor:
        """The LR of the tensors that AdamW updates."""
        return lr

    def update(self, weights: Tensor, gradient: Tensor, lr: Tensor, count: int) -> None:
        """See ``Optimizer.update``."""
        weight, grad = split(weights, self.sizes), split(gradient, self.sizes)
        self._update_by_adamw(weight, grad, self.lr_of_adamw(lr), count)
        for size, names in self.groups.items():
            # One batched product for all layers, as the launches of kernels bound small models.
            stacked = torch.stack([grad[n] for n in names], 1)
            directions = self.direction(size, stacked, count).unbind(1)
            for name, direction in zip(names, directions, strict=True):
                rule = self.rules[name]
                rate = (lr * rule.lr).view(-1, *[1] * len(size))
                decay = rate * self.weight_decay.view_as(rate) * rule.weight_decay
                weight[name].mul_((1 - decay).float())
                weight[name].addcmul_(direction.to(weights.dtype), -rate.float())

    def _update_by_adamw(
        self, weight: dict[str, Tensor], grad: dict[str, Tensor], lr: Tensor, count: int
    ) -> None:
        names = self.adamw.sizes
        flat = torch.cat([weight[n].flatten(1) for n in names], 1)
        self.adamw.update(flat, torch.cat([grad[n].flatten(1) for n in names], 1), lr, count)
        for name, updated in split(flat, names).items():
            weight[name].copy_(updated)

    def stacks(self, size: torch.Size, *shape: int) -> tuple[Tensor, dict[str, Tensor]]:
        """A zero tensor (k, m, ...) for the m matrices of one size, and views of it by name."""
        names = self.groups[size]
        stack = torch.zeros(len(self.settings), len(names), *shape, device=self.device)
        return stack, dict(zip(names, stack.unbind(1), strict=True))
