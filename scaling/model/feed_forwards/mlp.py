"""The dense feed-forward: two matrices, three where it is gated."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

from scalinglab.scaling.model.architecture import GATED, INITS, Architecture
from scalinglab.scaling.model.part import (
    FEED_FORWARDS,
    FeedForward,
    Size,
    norm_sizes,
)
from scalinglab.scaling.model.placements import Norms

# Floats kept of a token for the backward pass, a unit of its width: before and after the
# activation, and of the gate.
KEPT_FLOATS: Mapping[str, int] = {"relu": 1, "relu2": 2, "gelu": 2, "swiglu": 4, "geglu": 4}


@FEED_FORWARDS.register("mlp")
@dataclass(frozen=True, kw_only=True)
class MLP(FeedForward):
    """An MLP of width ``model.mlp_width`` with ``model.activation``."""

    module: ClassVar[str] = ""
    inits: ClassVar[tuple[str, ...]] = INITS

    name: str = "mlp"

    def tensors(self, architecture: Architecture, norms: Norms) -> dict[str, Size]:
        """See ``Branch.tensors``."""
        sizes = self.matrix_sizes(architecture, "up")
        if architecture.activation in GATED:
            sizes |= self.matrix_sizes(architecture, "gate")
        m = architecture.shape.mlp_width
        sizes |= norm_sizes(architecture, "mlp_inner_norm", norms.inner, m)
        return sizes | self.matrix_sizes(architecture, "down")

    def matrices(self, architecture: Architecture) -> dict[str, tuple[int, int]]:
        """See ``Branch.matrices``."""
        d, m = architecture.shape.width, architecture.shape.mlp_width
        gate = {"gate": (m, d)} if architecture.activation in GATED else {}
        return {"up": (m, d), **gate, "down": (d, m)}

    def kept_floats(self, architecture: Architecture) -> float:
        """See ``Branch.kept_floats``."""
        return KEPT_FLOATS[architecture.activation] * architecture.shape.mlp_width
