"""Cool to a constant, hold it as long as wished, anneal."""

from __future__ import annotations

from dataclasses import dataclass

from scalinglab.scaling.fields import AT_LEAST_0, Within, setting
from scalinglab.scaling.schedule.pieces import Piece
from scalinglab.scaling.schedule.room import COOLDOWN_SHAPES, Room, shaped
from scalinglab.scaling.schedule.schedule import SCHEDULES
from scalinglab.scaling.schedule.stretches import CooledConfig

COOL_SHAPES = (*COOLDOWN_SHAPES, "inverse_sqrt")


@SCHEDULES.register("infinite")
@dataclass(frozen=True, kw_only=True)
class InfiniteConfig(CooledConfig):
    """Ibrahim et al., arXiv 2403.08763.

    From the peak to `hold_ratio` of it over `cool_tokens`, along `cool_shape`; held; annealed.
    """

    kind: str = "infinite"
    cool_tokens: int = setting(0, AT_LEAST_0)
    cool_shape: str = setting("cosine", COOL_SHAPES)
    hold_ratio: float = setting(0.5, Within(0, 1, above=True))

    def after_warmup(self, room: Room) -> list[Piece]:
        """See ``WarmedConfig.after_warmup``."""
        last = self.cooldown_steps(room)
        cool = room.steps_of("schedule.cool_tokens", self.cool_tokens, room.left - last)
        hold_rate = room.peak * self.hold_ratio
        key = "schedule.cool_shape"
        cooling = shaped(key, self.cool_shape, cool, room.peak, hold_rate, COOL_SHAPES)
        hold = Piece("constant", room.left - last - cool, hold_rate, hold_rate)
        return self.cooled(room, [cooling, hold], last)
