"""Differential attention: two softmax maps a head, of which the second is subtracted."""

from __future__ import annotations

import math
from dataclasses import dataclass

from scalinglab.scaling.errors import ConfigError
from scalinglab.scaling.fields import FRACTION, setting
from scalinglab.scaling.model.architecture import Architecture
from scalinglab.scaling.model.part import MIXERS, MapFlops, Mixer, Size, Start, norm_sizes
from scalinglab.scaling.model.placements import Norms

START_OF_VECTORS = 0.1  # the deviation with which the paper draws them


@MIXERS.register("differential")
@dataclass(frozen=True, kw_only=True)
class Differential(Mixer):
    """The difference of two softmax maps, which cancels what both see (arXiv 2410.05258).

    A head's output is (softmax(q1 k1) - lambda softmax(q2 k2)) v. Two heads of ``model.heads`` make
    one of these, with values of twice their width, so a block has the weights of attention. Lambda
    is learned, one a layer: exp(a1 b1) - exp(a2 b2) + its start, of vectors of a head's width.

    Attributes
    ----------
    start : float or None
        Of lambda. None: 0.8 - 0.6 exp(-0.3 l) in block l, from 0, as in the paper.
    """

    name: str = "differential"
    start: float | None = setting(None, FRACTION)

    def tensors(self, architecture: Architecture, norms: Norms) -> dict[str, Size]:
        """See ``Branch.tensors``: four vectors make lambda."""
        head = architecture.shape.head_dim
        sizes: dict[str, Size] = {"lambda_gain": Start((4 * head,), START_OF_VECTORS)}
        for name in self.matrices(architecture):
            sizes |= self.matrix_sizes(architecture, name)
        if architecture.qk_norm:
            sizes |= {"query_norm.gain": (head,), "key_norm.gain": (head,)}
        sizes["difference_norm.gain"] = (2 * head,)
        return sizes | norm_sizes(architecture, "inner_norm", norms.inner)

    def matrices(self, architecture: Architecture) -> dict[str, tuple[int, int]]:
        """See ``Branch.matrices``."""
        d = architecture.shape.width
        return {"query": (d, d), "key": (d, d), "value": (d, d), "out": (d, d)}

    def check(self, architecture: Architecture) -> None:
        """See ``Part.check``."""
        shape = architecture.shape
        if shape.heads % 2:
            raise ConfigError(
                f"model.mixer.name = {self.name!r} of {shape.heads} heads (model.heads): two make "
                "one of its heads; allowed are even numbers"
            )
        if shape.head_dim % 2:
            raise ConfigError(
                f"model.mixer.name = {self.name!r} with heads of width {shape.head_dim} "
                "(model.head_dim): allowed are even widths"
            )
        if architecture.head_gains or architecture.value_norm:
            raise ConfigError(
                f"model.placement = {architecture.placement!r} clashes with model.mixer.name = "
                f"{self.name!r}: it places gains or norms on heads that this mixer subtracts from "
                "each other; allowed are the other placements"
            )

    def start_of(self, layer: int) -> float:
        """The lambda with which a block begins."""
        return 0.8 - 0.6 * math.exp(-0.3 * layer) if self.start is None else self.start

    def map_flops(self, architecture: Architecture) -> MapFlops:
        """Scores as those of attention; each map multiplies values of twice the width."""
        shape = architecture.shape
        d, h, T = shape.width, shape.heads, shape.context
        return MapFlops(seen=9 * d * T, whole=18 * d * T, softmax=9 * h * T)

    def kept_floats(self, architecture: Architecture) -> float:
        """See ``Branch.kept_floats``: wider values and outputs, the difference and its norm."""
        return 4 * architecture.shape.width
