"""Causal softmax attention with rotary positions."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from scalinglab.scaling.model.architecture import INITS, Architecture, Norms
from scalinglab.scaling.model.part import MIXERS, MapFlops, Mixer, Size, linear_sizes, norm_sizes


@MIXERS.register("attention")
@dataclass(frozen=True, kw_only=True)
class Attention(Mixer):
    """Each head weighs the tokens before by the softmax of products of queries and keys."""

    module: ClassVar[str] = "attention"
    inits: ClassVar[tuple[str, ...]] = INITS

    name: str = "attention"

    def tensors(self, architecture: Architecture, norms: Norms) -> dict[str, Size]:
        """See ``Part.tensors``."""
        shape = architecture.shape
        d, head = shape.width, (shape.head_dim,)
        sizes: dict[str, Size] = {"head_gain": (shape.heads,)} if architecture.head_gains else {}
        for name in ("query", "key", "value", "out"):
            sizes |= linear_sizes(architecture, name, d, d)
        if architecture.qk_norm:
            sizes |= {"query_norm.gain": head, "key_norm.gain": head}
        if architecture.value_norm:
            sizes["value_norm.gain"] = head
        return sizes | norm_sizes(architecture, "inner_norm", norms.inner)

    def map_flops(self, architecture: Architecture) -> MapFlops:
        """Each query sees half of the keys on average; 3 operations a score of the softmax."""
        shape = architecture.shape
        d, h, T = shape.width, shape.heads, shape.context
        return MapFlops(seen=6 * d * T, whole=12 * d * T, softmax=9 * h * T)
