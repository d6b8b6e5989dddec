"""Warm-up, stable, decay: runs of several lengths share the stable stretch."""

from __future__ import annotations

from dataclasses import dataclass

from scalinglab.scaling.schedule.pieces import Piece
from scalinglab.scaling.schedule.room import Room
from scalinglab.scaling.schedule.schedule import SCHEDULES
from scalinglab.scaling.schedule.stretches import CooledConfig


@SCHEDULES.register("wsd")
@dataclass(frozen=True, kw_only=True)
class WSDConfig(CooledConfig):
    """The peak, and a cooldown over the last `cooldown_fraction` of the run (arXiv 2405.18392)."""

    kind: str = "wsd"

    def after_warmup(self, room: Room) -> list[Piece]:
        """See ``WarmedConfig.after_warmup``."""
        last = self.cooldown_steps(room, least=1)
        return self.cooled(room, [Piece("constant", room.left - last, room.peak, room.peak)], last)
