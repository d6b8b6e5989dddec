"""No norm."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from scalinglab.scaling.model.part import NORMS, Norm


@NORMS.register("none")
@dataclass(frozen=True, kw_only=True)
class NoNorm(Norm):
    """Nothing is normalised but, if asked, queries and keys."""

    absent: ClassVar[bool] = True
    kept_floats: ClassVar[float] = 0.0

    name: str = "none"
