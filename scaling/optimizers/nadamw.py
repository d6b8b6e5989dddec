"""NAdamW: AdamW with Nesterov's momentum."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar

from scalinglab.scaling.fields import ABOVE_0, setting
from scalinglab.scaling.optimizers.adamw import AdamWConfig
from scalinglab.scaling.optimizers.optimizer import OPTIMIZERS


@OPTIMIZERS.register("nadamw")
@dataclass(frozen=True, kw_only=True)
class NAdamWConfig(AdamWConfig):
    """Dozat 2016, with decoupled decay.

    `momentum_decay` says how slowly the momentum grows to beta1; the default is torch's.
    """

    update_floats: ClassVar[float] = 3
    search_space: ClassVar[Mapping[str, Sequence[float]]] = {}

    name: str = "nadamw"
    momentum_decay: float = setting(4e-3, ABOVE_0)
