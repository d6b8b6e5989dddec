"""The keys of the model as a person writes them."""

from __future__ import annotations

from dataclasses import dataclass

from scalinglab.scaling.fields import ABOVE_0, AT_LEAST_1, setting
from scalinglab.scaling.model.architecture import NetworkOptions


@dataclass(frozen=True, kw_only=True)
class ModelConfig(NetworkOptions):
    """The shape dial: depth gives the width, width gives the heads; each can be set by hand.

    Attributes
    ----------
    depth : int
        Blocks.
    width : int or None
        None: aspect * depth.
    heads : int or None
        None: width / head_dim.
    aspect, head_dim, mlp_ratio : int
        Of the dial.
    mlp_width : int or None
        None: mlp_ratio * width, two thirds of it if gated.
    context : int
        Tokens in one sequence.
    """

    depth: int = setting(2, AT_LEAST_1)
    width: int | None = setting(None, AT_LEAST_1)
    heads: int | None = None
    aspect: int = setting(64, AT_LEAST_1)
    head_dim: int = setting(16, AT_LEAST_1)
    mlp_ratio: int = setting(4, AT_LEAST_1)
    mlp_width: int | None = setting(None, AT_LEAST_1)
    context: int = setting(128, AT_LEAST_1)
    # A quarter, unlike an architecture's, which has none where no placement asks for it.
    post_fraction: float = setting(0.25, ABOVE_0, used_with=("placement", ("mix",)))
