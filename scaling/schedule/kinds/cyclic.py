"""Equal cycles, each a decay from the peak: warm restarts."""

from __future__ import annotations

import itertools
from dataclasses import dataclass

from scalinglab.scaling.errors import ConfigError
from scalinglab.scaling.fields import AT_LEAST_0, AT_LEAST_1, setting
from scalinglab.scaling.schedule.pieces import Piece
from scalinglab.scaling.schedule.room import COOLDOWN_SHAPES, Room, shaped
from scalinglab.scaling.schedule.schedule import SCHEDULES
from scalinglab.scaling.schedule.stretches import EndingConfig


@SCHEDULES.register("cyclic")
@dataclass(frozen=True, kw_only=True)
class CyclicConfig(EndingConfig):
    """`cycles` equal decays, each after the first re-warmed: SGDR, arXiv 1608.03983.

    `rewarm_tokens` lead back to the peak at the beginning of a cycle.
    """

    kind: str = "cyclic"
    cycles: int = setting(4, AT_LEAST_1)
    rewarm_tokens: int = setting(0, AT_LEAST_0)
    cooldown_shape: str = setting("linear", COOLDOWN_SHAPES)

    def after_warmup(self, room: Room) -> list[Piece]:
        """See ``WarmedConfig.after_warmup``."""
        if self.cycles > room.left:
            raise ConfigError(f"schedule.cycles = {self.cycles}: allowed is 1 to {room.left}")
        ends = [round(room.left * k / self.cycles) for k in range(self.cycles + 1)]
        floor = room.peak * self.final_ratio
        pieces: list[Piece] = []
        for cycle, (begin, end) in enumerate(itertools.pairwise(ends)):
            key = "schedule.rewarm_tokens"
            rise = room.steps_of(key, self.rewarm_tokens, end - begin - 1) if cycle else 0
            key, falls = "schedule.cooldown_shape", end - begin - rise
            pieces += [
                Piece("linear", rise, floor, room.peak),
                shaped(key, self.cooldown_shape, falls, room.peak, floor),
            ]
        return pieces[1:]
