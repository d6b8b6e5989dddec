"""Stochastic gradient descent with momentum."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar

from scalinglab.scaling.fields import setting
from scalinglab.scaling.optimizers.adamw import AVERAGE
from scalinglab.scaling.optimizers.optimizer import OPTIMIZERS, OptimizerConfig


@OPTIMIZERS.register("sgd")
@dataclass(frozen=True, kw_only=True)
class SGDConfig(OptimizerConfig):
    """Momentum as in torch; its weight decay is coupled: added to the gradient."""

    update_family: ClassVar[str | None] = "sgd"
    moment_floats: ClassVar[tuple[float, float]] = (1, 1)
    update_floats: ClassVar[float] = 1
    search_space: ClassVar[Mapping[str, Sequence[float]]] = {  # where 128 steps had their best
        "optimizer.lr": (0.03, 0.1, 0.3, 1.0, 3.0, 10.0),
        "optimizer.momentum": (0.8, 0.9, 0.95),
    }

    name: str = "sgd"
    momentum: float = setting(0.9, AVERAGE)
    nesterov: bool = False
