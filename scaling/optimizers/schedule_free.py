"""Schedule-free AdamW: an average of the iterates takes the place of a decaying LR."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar

from scalinglab.scaling.fields import AT_LEAST_0, Within, setting
from scalinglab.scaling.optimizers.adamw import AdamWConfig
from scalinglab.scaling.optimizers.optimizer import OPTIMIZERS


@OPTIMIZERS.register("schedule_free")
@dataclass(frozen=True, kw_only=True)
class ScheduleFreeConfig(AdamWConfig):
    """arXiv 2405.15682; iterates count in the average by the largest LR to `average_power`."""

    search_space: ClassVar[Mapping[str, Sequence[float]]] = {}

    name: str = "schedule_free"
    beta1: float = setting(0.9, Within(0, 1, open=True))  # the average is read off by 1 / beta1
    average_power: float = setting(2.0, AT_LEAST_0)

    @property
    def takes_adamw_lr(self) -> bool:
        """See ``OptimizerConfig.takes_adamw_lr``: not measured."""
        return False
