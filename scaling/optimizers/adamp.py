"""AdamP: AdamW that does not grow the norm of scale-invariant weights."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar

from scalinglab.scaling.fields import ABOVE_0, AT_LEAST_0, setting
from scalinglab.scaling.optimizers.adamw import AdamWConfig
from scalinglab.scaling.optimizers.optimizer import MATRICES, OPTIMIZERS


@OPTIMIZERS.register("adamp")
@dataclass(frozen=True, kw_only=True)
class AdamPConfig(AdamWConfig):
    """arXiv 2006.08217.

    Below a cosine of `delta` / sqrt(size) a tensor counts as scale-invariant, loses the radial part
    of its update, and `decay_ratio` of its weight decay remains.
    """

    whole: ClassVar[tuple[str, ...]] = MATRICES
    update_floats: ClassVar[float] = 3  # tensor after tensor
    search_space: ClassVar[Mapping[str, Sequence[float]]] = {}

    name: str = "adamp"
    delta: float = setting(0.1, ABOVE_0)
    decay_ratio: float = setting(0.1, AT_LEAST_0)
