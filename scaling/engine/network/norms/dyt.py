"""A bounded function of each number in place of a norm: nothing is averaged."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from scalinglab.scaling.engine.network.part import NORMED_BY
from scalinglab.scaling.model.norms.dyt import DyT as Description


@NORMED_BY.register("dyt")
class DyT(nn.Module):
    """gain * tanh(alpha x) + bias, or gain * erf(alpha x + shift) + bias."""

    def __init__(self, description: Description, width: int) -> None:
        super().__init__()
        self.alpha_gain = nn.Parameter(torch.ones(1))
        self.shift_bias = nn.Parameter(torch.zeros(1)) if description.function == "erf" else None
        self.gain = nn.Parameter(torch.ones(width))
        self.bias = nn.Parameter(torch.zeros(width))

    def forward(self, x: Tensor) -> Tensor:
        """See the class."""
        bounded = x * self.alpha_gain
        if self.shift_bias is None:
            bounded = bounded.tanh()
        else:
            bounded = torch.erf(bounded + self.shift_bias)
        return bounded * self.gain + self.bias
