"""SOAP: Adam in the eigenbasis of Shampoo's preconditioner."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar

from scalinglab.scaling.fields import AT_LEAST_1, setting
from scalinglab.scaling.optimizers.adamw import AdamWConfig
from scalinglab.scaling.optimizers.optimizer import OPTIMIZERS


@OPTIMIZERS.register("soap")
@dataclass(frozen=True, kw_only=True)
class SOAPConfig(AdamWConfig):
    """arXiv 2409.11321 for hidden matrices, AdamW for the rest.

    The eigenbases are refreshed every `refresh_steps`.
    """

    update_family: ClassVar[str | None] = None
    whole: ClassVar[tuple[str, ...]] = ("hidden",)
    # Four square matrices beside two moments: 6 of a square matrix, 10.5 of one of 4 d x d.
    moment_floats: ClassVar[tuple[float, float]] = (9, 2)
    update_floats: ClassVar[float] = 7
    search_space: ClassVar[Mapping[str, Sequence[float]]] = {}

    name: str = "soap"
    refresh_steps: int = setting(10, AT_LEAST_1)

    @property
    def takes_adamw_lr(self) -> bool:
        """See ``OptimizerConfig.takes_adamw_lr``: not measured."""
        return False
