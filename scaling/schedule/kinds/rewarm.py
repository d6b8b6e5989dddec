"""A finished run goes on: its schedule to its end, up to the peak again, and down."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from scalinglab.scaling.errors import ConfigError
from scalinglab.scaling.fields import AT_LEAST_0, FRACTION, setting
from scalinglab.scaling.read_options import from_dict
from scalinglab.scaling.schedule.build import build_pieces
from scalinglab.scaling.schedule.pieces import Piece
from scalinglab.scaling.schedule.room import COOLDOWN_SHAPES, Room, shaped
from scalinglab.scaling.schedule.schedule import SCHEDULES, ScheduleConfig


@SCHEDULES.register("rewarm")
@dataclass(frozen=True, kw_only=True)
class RewarmConfig(ScheduleConfig):
    """The schedule `before` to its end, then up to the peak again and down (arXiv 2308.04014).

    `before` has the keys of a schedule, its tokens, and its lr where its peak was another. A run
    whose schedule it is is a prefix of this one: this one starts from its checkpoint.
    """

    kind: str = "rewarm"
    before: dict[str, Any] = setting({})
    rewarm_tokens: int = setting(0, AT_LEAST_0)
    cooldown_shape: str = setting("linear", COOLDOWN_SHAPES)
    final_ratio: float = setting(0.0, FRACTION)

    def build(self, room: Room) -> list[Piece]:
        """See ``ScheduleConfig.build``."""
        before = dict(self.before)
        tokens, peak = before.pop("tokens", None), before.pop("lr", None)
        if not isinstance(tokens, int | float) or not before:
            raise ConfigError(
                f"schedule.before = {self.before!r}: schedule.kind = 'rewarm' needs the schedule "
                "of the run that it goes on from, with its tokens, as {kind: cosine, tokens: "
                "1048576}"
            )
        former = from_dict(ScheduleConfig, before, "schedule.before")
        passed = room.steps_of("schedule.before.tokens", int(tokens), room.steps - 1)
        pieces = build_pieces(
            former, room.peak if peak is None else peak, passed, room.tokens_per_step
        )
        remaining = room.steps - passed
        rise = room.steps_of("schedule.rewarm_tokens", self.rewarm_tokens, remaining - 1)
        end, key = room.peak * self.final_ratio, "schedule.cooldown_shape"
        return [
            *pieces,
            Piece("linear", rise, pieces[-1].end, room.peak),
            shaped(key, self.cooldown_shape, remaining - rise, room.peak, end),
        ]
