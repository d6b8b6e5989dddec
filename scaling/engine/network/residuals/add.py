"""The stream and the branch, added."""

from __future__ import annotations

from torch import Tensor

from scalinglab.scaling.engine.network.layers import times
from scalinglab.scaling.engine.network.part import ADDED_BY, Stream


@ADDED_BY.register("add")
class Add(Stream):
    """The sum, each times its multiplier."""

    def forward(self, stream: Tensor, branch_BTD: Tensor) -> Tensor:
        """See the class."""
        return times(stream, self.stream_multiplier) + times(branch_BTD, self.branch_multiplier)
