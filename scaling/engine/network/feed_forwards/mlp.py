"""The dense feed-forward: two matrices, three where it is gated."""

from __future__ import annotations

from torch import Tensor, nn

from scalinglab.scaling.engine.network.layers import ACTIVATION
from scalinglab.scaling.engine.network.part import FED_BY, linear, norm
from scalinglab.scaling.model.architecture import GATED, Architecture


@FED_BY.register("mlp")
class MLP(nn.Module):
    """down(activation(up(x))), or down(activation(gate(x)) * up(x))."""

    def __init__(self, architecture: Architecture, layer: int) -> None:
        super().__init__()
        feed_forward, m = architecture.feed_forward, architecture.shape.mlp_width
        self.activation = ACTIVATION[architecture.activation]
        self.up = linear(architecture, feed_forward, "up")
        self.gate = (
            linear(architecture, feed_forward, "gate") if architecture.activation in GATED else None
        )
        self.mlp_inner_norm = norm(architecture, architecture.norms(layer)[1].inner, m)
        self.down = linear(architecture, feed_forward, "down")

    def forward(self, x_BTD: Tensor) -> Tensor:
        """The addition to the residual stream, before its norm and multiplier."""
        if self.gate is None:
            hidden_BTM = self.activation(self.up(x_BTD))
        else:
            hidden_BTM = self.activation(self.gate(x_BTD)) * self.up(x_BTD)
        return self.down(self.mlp_inner_norm(hidden_BTM))
