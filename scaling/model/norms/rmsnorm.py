"""x / rms(x), with a gain."""

from __future__ import annotations

from dataclasses import dataclass

from scalinglab.scaling.model.part import NORMS, Norm, Size


@NORMS.register("rmsnorm")
@dataclass(frozen=True, kw_only=True)
class RMSNorm(Norm):
    """The root mean square alone (arXiv 1910.07467)."""

    name: str = "rmsnorm"

    def tensors(self, width: int) -> dict[str, Size]:
        """See ``Norm.tensors``."""
        return {"gain": (width,)}
