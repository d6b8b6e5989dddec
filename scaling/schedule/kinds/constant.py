"""One rate: a trunk that others branch off."""

from __future__ import annotations

from dataclasses import dataclass

from scalinglab.scaling.schedule.pieces import Piece
from scalinglab.scaling.schedule.room import Room
from scalinglab.scaling.schedule.schedule import SCHEDULES
from scalinglab.scaling.schedule.stretches import WarmedConfig


@SCHEDULES.register("constant")
@dataclass(frozen=True, kw_only=True)
class ConstantConfig(WarmedConfig):
    """Warm-up, then the peak."""

    kind: str = "constant"

    def after_warmup(self, room: Room) -> list[Piece]:
        """See ``WarmedConfig.after_warmup``."""
        return [Piece("constant", room.left, room.peak, room.peak)]
