"""A decay over the whole run after the warm-up, along a straight line."""

from __future__ import annotations

from dataclasses import dataclass

from scalinglab.scaling.schedule.pieces import Piece
from scalinglab.scaling.schedule.room import Room
from scalinglab.scaling.schedule.schedule import SCHEDULES
from scalinglab.scaling.schedule.stretches import EndingConfig


@SCHEDULES.register("linear")
@dataclass(frozen=True, kw_only=True)
class LinearConfig(EndingConfig):
    """From the peak to `final_ratio` of it."""

    kind: str = "linear"

    def after_warmup(self, room: Room) -> list[Piece]:
        """See ``WarmedConfig.after_warmup``."""
        return [Piece("linear", room.left, room.peak, room.peak * self.final_ratio)]
