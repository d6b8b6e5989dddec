"""A decay with the root of the tokens, for no fixed length."""

from __future__ import annotations

from dataclasses import dataclass

from scalinglab.scaling.errors import ConfigError
from scalinglab.scaling.fields import AT_LEAST_0, setting
from scalinglab.scaling.schedule.pieces import Piece
from scalinglab.scaling.schedule.room import Room
from scalinglab.scaling.schedule.schedule import SCHEDULES
from scalinglab.scaling.schedule.stretches import CooledConfig, power_law


@SCHEDULES.register("inverse_sqrt")
@dataclass(frozen=True, kw_only=True)
class InverseSqrtConfig(CooledConfig):
    """peak * min(1, sqrt(T / n)) after n tokens: arXiv 1706.03762, where T is the warm-up.

    `timescale_tokens` is T; None: the warm-up.
    """

    kind: str = "inverse_sqrt"
    timescale_tokens: int | None = setting(None, AT_LEAST_0)

    def after_warmup(self, room: Room) -> list[Piece]:
        """See ``WarmedConfig.after_warmup``."""
        begin = room.warmup
        if self.timescale_tokens is not None:
            key = "schedule.timescale_tokens"
            begin = room.steps_of(key, self.timescale_tokens, room.steps)
        if begin < max(room.warmup, 1):
            raise ConfigError(
                f"schedule.kind = 'inverse_sqrt' falls from step {begin} on, and the warm-up has "
                f"{room.warmup} steps; give schedule.timescale_tokens (or a warm-up) of at least "
                f"{max(room.warmup, 1) * room.tokens_per_step}"
            )
        last = self.cooldown_steps(room)
        return self.cooled(room, power_law(room, room.left - last, float(begin), 0.5), last)
