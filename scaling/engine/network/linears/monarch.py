"""A matrix that is the product of two block-diagonal ones with a shuffle between them."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from scalinglab.scaling.engine.network.part import MULTIPLIED_BY
from scalinglab.scaling.model.linears.monarch import Monarch as Description


@MULTIPLIED_BY.register("monarch")
class Monarch(nn.Module):
    """Each block of the second factor reads values of all blocks of the first."""

    def __init__(self, description: Description, columns: int, rows: int, bias: bool) -> None:
        super().__init__()
        sizes = description.tensors(rows, columns)
        self.inner = nn.Parameter(torch.zeros(sizes["inner"]))
        self.weight = nn.Parameter(torch.zeros(sizes["weight"]))
        self.bias = nn.Parameter(torch.zeros(rows)) if bias else None

    def forward(self, x: Tensor) -> Tensor:
        """See the class."""
        blocks = len(self.inner)
        inner = torch.einsum("...bi,bji->...bj", x.unflatten(-1, (blocks, -1)), self.inner)
        shuffled = inner.mT.flatten(-2).unflatten(-1, (blocks, -1))
        y = torch.einsum("...bj,bkj->...bk", shuffled, self.weight).flatten(-2)
        return y if self.bias is None else y + self.bias
