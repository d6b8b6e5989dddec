"""Muon: the momentum of hidden matrices, orthogonalised."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor

from scalinglab.scaling.engine.optimizers.matrices import MatrixOptimizer
from scalinglab.scaling.engine.optimizers.optimizer import UPDATES

COEFFICIENTS = (3.4445, -4.7750, 2.0315)  # of the quintic, steepest at zero (K. Jordan 2024)


@UPDATES.register("muon")
class Muon(MatrixOptimizer):
    """Muon (K. Jordan 2024; arXiv 2502.16982), equal to ``torch.optim.Muon`` per member.

    ``adjust_lr`` "original" scales the update of an A x B matrix by sqrt(max(1, A / B)),
    "match_rms_adamw" by 0.2 sqrt(max(A, B)), which gives it the rms of AdamW's.
    """

    def __init__(self, *arguments: Any, **named: Any) -> None:
        super().__init__(*arguments, **named)
        self.momentum = self.column("momentum").float()
        self.nesterov = self.common("nesterov")
        self.orthogonal_steps = self.common("orthogonal_steps")
        self.adjust_lr = self.common("adjust_lr")
        self.adamw_lr = self.column("adamw_lr")
        # A CPU is many times slower in half precision, and a GPU many times faster.
        self.dtype = torch.float32 if self.device == "cpu" else torch.bfloat16
        self.average: dict[torch.Size, Tensor] = {}
        by_name: dict[str, Tensor] = {}
        for size in self.groups:
            self.average[size], views = self.stacks(size, *size)
            by_name |= views
        self.moments["momentum"] = by_name

    def lr_of_adamw(self, lr: Tensor) -> Tensor:
        """See ``MatrixOptimizer.lr_of_adamw``."""
        return lr * self.adamw_lr

    def direction(self, size: torch.Size, gradient: Tensor, count: int) -> Tensor:
        """See ``MatrixOptimizer.direction``."""
        momentum = self.momentum.view(-1, *[1] * (gradient.dim() - 1))
        # An average, as in torch, not SGD's sum: an orthogonal update does not depend on its size.
        average = self.average[size].lerp_(gradient, 1 - momentum)
        update = gradient.lerp(average, momentum) if self.nesterov else average
        return orthogonalised(update.to(self.dtype), self.orthogonal_steps) * self._factor(size)

    def _factor(self, size: torch.Size) -> float:
        rows, columns = size[-2:]
        if self.adjust_lr == "original":
            return math.sqrt(max(1, rows / columns))
        return 0.2 * math.sqrt(max(rows, columns))


def orthogonalised(matrices: Tensor, steps: int) -> Tensor:
    """U V^T of each matrix U S V^T, roughly: singular values end between 0.5 and 1.5.

    Parameters
    ----------
    matrices : Tensor
        (..., A, B).
    steps : int
        Newton-Schulz iterations of the quintic polynomial.
    """
    a, b, c = COEFFICIENTS
    tall = matrices.shape[-2] > matrices.shape[-1]  # the Gram matrix of the shorter side is cheaper
    x = (matrices.mT if tall else matrices).flatten(0, -3)
    # The Frobenius norm is at least the largest singular value. So all begin in 0..1, from where
    # the iteration takes them towards 1.
    x = x / x.norm(dim=(-2, -1), keepdim=True).clamp(min=1e-7)
    for _ in range(steps):
        gram = x @ x.mT
        x = torch.baddbmm(x, torch.baddbmm(gram, gram, gram, beta=b, alpha=c), x, beta=a)
    return (x.mT if tall else x).reshape(matrices.shape)
