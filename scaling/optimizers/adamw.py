"""AdamW: decoupled weight decay."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar

from scalinglab.scaling.fields import ABOVE_0, Within, setting
from scalinglab.scaling.optimizers.optimizer import OPTIMIZERS, OptimizerConfig

AVERAGE = Within(0, 1, below=True)  # how much of a moving average stays


@OPTIMIZERS.register("adamw")
@dataclass(frozen=True, kw_only=True)
class AdamWConfig(OptimizerConfig):
    """arXiv 1711.05101."""

    update_family: ClassVar[str | None] = "adaptive"
    moment_floats: ClassVar[tuple[float, float]] = (2, 2)
    update_floats: ClassVar[float] = 2
    search_space: ClassVar[Mapping[str, Sequence[float]]] = {
        "optimizer.lr": (0.0025, 0.005, 0.01, 0.02, 0.04, 0.08),
        "optimizer.weight_decay": (0.03, 0.1, 0.3),
    }

    name: str = "adamw"
    beta1: float = setting(0.9, AVERAGE)
    beta2: float | None = setting(0.95, AVERAGE)  # None: by the rule
    epsilon: float = setting(1e-8, ABOVE_0)

    @property
    def takes_adamw_lr(self) -> bool:
        """See ``OptimizerConfig.takes_adamw_lr``."""
        return True
