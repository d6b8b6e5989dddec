"""SOAP: Adam in the eigenbasis of Shampoo's preconditioner."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from scalinglab.scaling.engine.optimizers.matrices import MatrixOptimizer
from scalinglab.scaling.engine.optimizers.optimizer import UPDATES


@UPDATES.register("soap")
class SOAP(MatrixOptimizer):
    """Algorithm 3 of arXiv 2409.11321 for hidden matrices; the averages all use beta2.

    As in the authors' code the first gradient only makes the bases, and a refresh is one power
    iteration and a QR decomposition of the directions in the order of their strength.
    """

    capturable = False

    def __init__(self, *arguments: Any, **named: Any) -> None:
        super().__init__(*arguments, **named)
        self.beta1, self.beta2 = self.column("beta1"), self.column("beta2")
        self.epsilon = self.column("epsilon")
        self.refresh_steps = self.common("refresh_steps")
        self.stack: dict[torch.Size, dict[str, Tensor]] = {}
        self._epsilon: dict[torch.Size, Tensor] = {}
        for size in self.groups:
            rows, columns = (*size[:-1], size[-2]), (*size[:-2], size[-1], size[-1])
            shapes = {
                "first": size,
                "second": size,
                "left": rows,
                "right": columns,
                "left_basis": rows,
                "right_basis": columns,
            }
            self.stack[size] = {}
            self._epsilon[size] = (
                torch.stack([self.epsilon * self.rules[n].epsilon for n in self.groups[size]], 1)
                .float()
                .view(len(self.settings), -1, *[1] * len(size))
            )
            for kind, shape in shapes.items():
                self.stack[size][kind], by_name = self.stacks(size, *shape)
                moments = self.moments.get(kind, {})
                assert isinstance(moments, dict)  # of AdamW's tensors and of the matrices, by name
                self.moments[kind] = {**moments, **by_name}

    def direction(self, size: torch.Size, gradient: Tensor, count: int) -> Tensor:
        """See ``MatrixOptimizer.direction``."""
        state = self.stack[size]

        def column(setting: Tensor) -> Tensor:
            return setting.float().view(-1, *[1] * (gradient.dim() - 1))

        fresh = column(1 - self.beta2)
        state["left"].lerp_(gradient @ gradient.mT, fresh)
        state["right"].lerp_(gradient.mT @ gradient, fresh)
        if count == 1:
            for side in ("left", "right"):
                state[f"{side}_basis"].copy_(eigenvectors(state[side]))
            return torch.zeros_like(gradient)
        left, right = state["left_basis"], state["right_basis"]
        state["first"].lerp_(gradient, column(1 - self.beta1))
        state["second"].lerp_((left.mT @ gradient @ right).square(), fresh)
        # The first gradient made only the bases, so the moments average one gradient less.
        root = (state["second"] / column(1 - self.beta2 ** (count - 1))).sqrt()
        average = left.mT @ (state["first"] / column(1 - self.beta1 ** (count - 1))) @ right
        direction = left @ (average / (root + self._epsilon[size])) @ right.mT
        if (count - 1) % self.refresh_steps == 0:
            _refresh(state)
        return direction


def eigenvectors(matrices: Tensor) -> Tensor:
    """Eigenvectors of symmetric matrices (..., A, A) as columns, the strongest first.

    A gradient that is not finite must end its own run, not the whole pack. Its averages are not
    finite either and reach the weights; if LAPACK finds no eigenvectors they are NaN, and the
    member diverges with its next update.
    """
    matrices = torch.nan_to_num(matrices)
    try:
        return torch.linalg.eigh(matrices)[1].flip(-1)
    except torch.linalg.LinAlgError:
        if matrices.dim() == 2:
            return torch.full_like(matrices, torch.nan)
        return torch.stack([eigenvectors(matrix) for matrix in matrices])


def _refresh(state: dict[str, Tensor]) -> None:
    """Turn both bases towards the eigenvectors, and sort the second moment as their directions."""
    for side, dim in (("left", -2), ("right", -1)):
        matrix, basis = state[side], state[f"{side}_basis"]
        strength = (basis * (matrix @ basis)).sum(-2)
        order = strength.argsort(dim=-1, descending=True, stable=True)
        index = order.unsqueeze(-1 if dim == -2 else -2).expand_as(state["second"])
        state["second"].copy_(state["second"].gather(dim, index))
        sorted_ = basis.gather(-1, order.unsqueeze(-2).expand_as(basis))
        basis.copy_(torch.linalg.qr(matrix @ sorted_)[0])
