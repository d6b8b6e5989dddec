"""Muon: the momentum of hidden matrices, orthogonalised."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar

from scalinglab.scaling.fields import ABOVE_0, AT_LEAST_1, setting
from scalinglab.scaling.optimizers.adamw import AVERAGE, AdamWConfig
from scalinglab.scaling.optimizers.optimizer import OPTIMIZERS

MATCH_RMS = "match_rms_adamw"
ADJUST_LR = ("original", MATCH_RMS)  # as torch.optim.Muon names them


@OPTIMIZERS.register("muon")
@dataclass(frozen=True, kw_only=True)
class MuonConfig(AdamWConfig):
    """Muon (K. Jordan 2024; arXiv 2502.16982) for hidden matrices, AdamW for the rest.

    `adamw_lr` is the LR of the rest over that of the matrices.
    """

    update_family: ClassVar[str | None] = "muon"
    whole: ClassVar[tuple[str, ...]] = ("hidden",)
    moment_floats: ClassVar[tuple[float, float]] = (1, 2)
    # With adjust_lr = match_rms_adamw, the LR and decay of AdamW (arXiv 2502.16982).
    search_space: ClassVar[Mapping[str, Sequence[float]]] = AdamWConfig.search_space

    name: str = "muon"
    momentum: float = setting(0.95, AVERAGE)
    nesterov: bool = True
    orthogonal_steps: int = setting(5, AT_LEAST_1)
    adjust_lr: str = setting("original", ADJUST_LR)
    adamw_lr: float = setting(1.0, ABOVE_0)

    @property
    def family(self) -> str | None:
        """Updates with the rms of AdamW's scale in another way."""
        return "muon_match_rms" if self.adjust_lr == MATCH_RMS else self.update_family

    @property
    def takes_adamw_lr(self) -> bool:
        """With updates of AdamW's rms."""
        return self.adjust_lr == MATCH_RMS
