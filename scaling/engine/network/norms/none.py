"""No norm."""

from __future__ import annotations

from torch import nn

from scalinglab.scaling.engine.network.part import NORMED_BY
from scalinglab.scaling.model.part import Norm


@NORMED_BY.register("none")
def nothing(description: Norm, width: int) -> nn.Identity:
    """The input, unchanged."""
    return nn.Identity()
