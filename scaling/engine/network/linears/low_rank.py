"""A matrix that is the product of two narrower ones."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from scalinglab.scaling.engine.network.part import MULTIPLIED_BY
from scalinglab.scaling.model.linears.low_rank import LowRank as Description


@MULTIPLIED_BY.register("low_rank")
class LowRank(nn.Module):
    """weight (inner x)."""

    def __init__(self, description: Description, columns: int, rows: int, bias: bool) -> None:
        super().__init__()
        rank = description.inner(rows, columns)
        self.inner = nn.Parameter(torch.zeros(rank, columns))
        self.weight = nn.Parameter(torch.zeros(rows, rank))
        self.bias = nn.Parameter(torch.zeros(rows)) if bias else None

    def forward(self, x: Tensor) -> Tensor:
        """See the class."""
        return F.linear(F.linear(x, self.inner), self.weight, self.bias)
