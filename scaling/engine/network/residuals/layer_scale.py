"""The stream and the branch times a gain that is learned."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from scalinglab.scaling.engine.network.layers import times
from scalinglab.scaling.engine.network.part import ADDED_BY, Stream
from scalinglab.scaling.model.architecture import Architecture


@ADDED_BY.register("layer_scale")
class LayerScale(Stream):
    """The sum, the branch times its gains."""

    def __init__(self, architecture: Architecture, layer: int) -> None:
        super().__init__(architecture, layer)
        (size,) = architecture.residual_part.tensors(architecture).values()
        self.gain = nn.Parameter(torch.ones(size))

    def forward(self, stream: Tensor, branch_BTD: Tensor) -> Tensor:
        """See the class."""
        scaled_BTD = times(branch_BTD * self.gain, self.branch_multiplier)
        return times(stream, self.stream_multiplier) + scaled_BTD
