"""Every output of every input."""

from __future__ import annotations

from torch import nn

from scalinglab.scaling.engine.network.part import MULTIPLIED_BY
from scalinglab.scaling.model.part import Linear


@MULTIPLIED_BY.register("dense")
def dense(description: Linear, columns: int, rows: int, bias: bool) -> nn.Linear:
    """Torch's description."""
    return nn.Linear(columns, rows, bias)
