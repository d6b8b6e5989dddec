"""A feed-forward whose matrices are products of two narrower ones."""

from __future__ import annotations

from torch import Tensor, nn

from scalinglab.scaling.engine.network.layers import ACTIVATION
from scalinglab.scaling.engine.network.part import FED_BY
from scalinglab.scaling.model.architecture import GATED, Architecture
from scalinglab.scaling.model.feed_forwards.low_rank import LowRank as Description


@FED_BY.register("low_rank")
class LowRank(nn.Module):
    """The dense feed-forward, each matrix times a vector as two products."""

    def __init__(self, architecture: Architecture, layer: int) -> None:
        super().__init__()
        feed_forward, shape = architecture.feed_forward, architecture.shape
        assert isinstance(feed_forward, Description)  # found by the same name
        d, m, r = shape.width, shape.mlp_width, feed_forward.inner(architecture)
        gated = architecture.activation in GATED
        self.activation = ACTIVATION[architecture.activation]
        self.up_in, self.up = nn.Linear(d, r, bias=False), nn.Linear(r, m, bias=False)
        self.gate_in = nn.Linear(d, r, bias=False) if gated else None
        self.gate = nn.Linear(r, m, bias=False) if gated else None
        self.down_in, self.down = nn.Linear(m, r, bias=False), nn.Linear(r, d, bias=False)

    def forward(self, x_BTD: Tensor) -> Tensor:
        """The addition to the residual stream, before its norm and multiplier."""
        up_BTM = self.up(self.up_in(x_BTD))
        if self.gate is None or self.gate_in is None:
            hidden_BTM = self.activation(up_BTM)
        else:
            hidden_BTM = self.activation(self.gate(self.gate_in(x_BTD))) * up_BTM
        return self.down(self.down_in(hidden_BTM))
