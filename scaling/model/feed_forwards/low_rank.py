"""A feed-forward whose matrices are products of two narrower ones."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from scalinglab.scaling.errors import ConfigError
from scalinglab.scaling.fields import Within, setting
from scalinglab.scaling.model.architecture import GATED, Architecture
from scalinglab.scaling.model.feed_forwards.mlp import KEPT_FLOATS
from scalinglab.scaling.model.part import FEED_FORWARDS, FeedForward, Size
from scalinglab.scaling.model.placements import Norms


@FEED_FORWARDS.register("low_rank")
@dataclass(frozen=True, kw_only=True)
class LowRank(FeedForward):
    """Each matrix of the dense feed-forward has a rank (arXiv 2407.09835).

    Attributes
    ----------
    rank : float
        Over the model's width.
    """

    no_bias: ClassVar[str] = "its factors have none"
    no_inner_norm: ClassVar[str] = "which has none"

    name: str = "low_rank"
    rank: float = setting(0.5, Within(0, 1, above=True))

    def tensors(self, architecture: Architecture, norms: Norms) -> dict[str, Size]:
        """See ``Branch.tensors``."""
        d, m = architecture.shape.width, architecture.shape.mlp_width
        r = self.inner(architecture)
        sizes: dict[str, Size] = {}
        for name, rows, columns in (("up", m, d), ("gate", m, d), ("down", d, m)):
            if name != "gate" or architecture.activation in GATED:
                sizes |= {f"{name}_in.weight": (r, columns), f"{name}.weight": (rows, r)}
        return sizes

    def check(self, architecture: Architecture) -> None:
        """See ``Part.check``."""
        super().check(architecture)
        key, width = "model.feed_forward", architecture.shape.width
        if abs(self.rank * width - round(self.rank * width)) > 1e-6:
            raise ConfigError(
                f"{key}.rank = {self.rank:g} of model.width = {width} is {self.rank * width:g}; "
                "allowed are shares that give a whole number"
            )

    def inner(self, architecture: Architecture) -> int:
        """The rank of each matrix."""
        return max(1, round(self.rank * architecture.shape.width))

    def kept_floats(self, architecture: Architecture) -> float:
        """See ``Branch.kept_floats``."""
        gated = architecture.activation in GATED
        hidden = KEPT_FLOATS[architecture.activation] * architecture.shape.mlp_width
        return hidden + (3 if gated else 2) * self.inner(architecture)
