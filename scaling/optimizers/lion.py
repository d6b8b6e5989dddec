"""Lion: the sign of an interpolated momentum."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar

from scalinglab.scaling.fields import setting
from scalinglab.scaling.optimizers.adamw import AVERAGE
from scalinglab.scaling.optimizers.optimizer import OPTIMIZERS, OptimizerConfig


@OPTIMIZERS.register("lion")
@dataclass(frozen=True, kw_only=True)
class LionConfig(OptimizerConfig):
    """arXiv 2302.06675. As Adam's, updates do not depend on the gradient's size (2308.01814)."""

    update_family: ClassVar[str | None] = "adaptive"
    moment_floats: ClassVar[tuple[float, float]] = (1, 1)
    update_floats: ClassVar[float] = 4
    # LR 3 to 10 times below AdamW's, and decay as much above; moved to the best of 128 steps.
    search_space: ClassVar[Mapping[str, Sequence[float]]] = {
        "optimizer.lr": (0.0006, 0.00125, 0.0025, 0.005, 0.01, 0.02),
        "optimizer.weight_decay": (0.3, 1.0, 3.0),
    }

    name: str = "lion"
    beta1: float = setting(0.9, AVERAGE)
    beta2: float | None = setting(0.95, AVERAGE)  # None: by the rule
