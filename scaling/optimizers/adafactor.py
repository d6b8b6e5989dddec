"""Adafactor: second moments as the product of a row and a column."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from scalinglab.scaling.fields import ABOVE_0, Within, setting
from scalinglab.scaling.optimizers.optimizer import MATRICES, OPTIMIZERS, OptimizerConfig


@OPTIMIZERS.register("adafactor")
@dataclass(frozen=True, kw_only=True)
class AdafactorConfig(OptimizerConfig):
    """arXiv 1804.04235 as ``torch.optim.Adafactor``.

    Its beta2 is 1 - step^`beta2_decay`; updates are scaled by the size of the weights (at least
    `scale_floor`) and cut at rms `update_clip`.
    """

    update_family: ClassVar[str | None] = "relative"
    whole: ClassVar[tuple[str, ...]] = (*MATRICES, "gain", "bias")
    moment_floats: ClassVar[tuple[float, float]] = (0, 0)  # rows and columns are next to nothing
    update_floats: ClassVar[float] = 1  # tensor after tensor

    name: str = "adafactor"
    beta2_decay: float = setting(-0.8, Within(most=0, below=True))
    scale_floor: float = setting(1e-3, ABOVE_0)
    update_clip: float = setting(1.0, ABOVE_0)
