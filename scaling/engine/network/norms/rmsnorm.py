"""x / rms(x), with a gain."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from scalinglab.scaling.engine.network.part import NORMED_BY
from scalinglab.scaling.model.part import Norm


class RMSNorm(nn.Module):
    """x / rms(x) * gain over the last axis."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.gain = nn.Parameter(torch.ones(width))

    def forward(self, x: Tensor) -> Tensor:
        """See the class."""
        return F.rms_norm(x, x.shape[-1:], eps=1e-6) * self.gain


@NORMED_BY.register("rmsnorm")
def rms_norm(description: Norm, width: int) -> RMSNorm:
    """The RMSNorm of a width."""
    return RMSNorm(width)
