"""Normalised gradient descent: steps of a set length."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from scalinglab.scaling.fields import setting
from scalinglab.scaling.optimizers.adamw import AVERAGE
from scalinglab.scaling.optimizers.optimizer import OPTIMIZERS, OptimizerConfig


@OPTIMIZERS.register("normalized")
@dataclass(frozen=True, kw_only=True)
class NormalizedConfig(OptimizerConfig):
    """Normalised gradient descent with momentum (arXiv 2002.03305)."""

    moment_floats: ClassVar[tuple[float, float]] = (1, 1)
    update_floats: ClassVar[float] = 1

    name: str = "normalized"
    momentum: float = setting(0.9, AVERAGE)
