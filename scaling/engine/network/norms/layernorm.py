"""(x - mean(x)) / deviation(x), with a gain and a bias."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from scalinglab.scaling.engine.network.part import NORMED_BY
from scalinglab.scaling.model.part import Norm


@NORMED_BY.register("layernorm")
class LayerNorm(nn.Module):
    """(x - mean(x)) / deviation(x) * gain + bias over the last axis."""

    def __init__(self, description: Norm, width: int) -> None:
        super().__init__()
        self.gain = nn.Parameter(torch.ones(width))
        self.bias = nn.Parameter(torch.zeros(width))

    def forward(self, x: Tensor) -> Tensor:
        """See the class."""
        return F.layer_norm(x, x.shape[-1:], self.gain, self.bias, eps=1e-6)
