"""(x - mean(x)) / deviation(x), with a gain and a bias."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from scalinglab.scaling.model.part import NORMS, Norm, Size


@NORMS.register("layernorm")
@dataclass(frozen=True, kw_only=True)
class LayerNorm(Norm):
    """Mean and deviation (arXiv 1607.06450)."""

    kept_floats: ClassVar[float] = 1.0

    name: str = "layernorm"

    def tensors(self, width: int) -> dict[str, Size]:
        """See ``Norm.tensors``."""
        return {"gain": (width,), "bias": (width,)}
