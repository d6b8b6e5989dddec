"""A step down at each of some milestones."""

from __future__ import annotations

from dataclasses import dataclass

from scalinglab.scaling.errors import ConfigError
from scalinglab.scaling.fields import Within, setting
from scalinglab.scaling.schedule.pieces import Piece, settled
from scalinglab.scaling.schedule.room import Room
from scalinglab.scaling.schedule.schedule import SCHEDULES
from scalinglab.scaling.schedule.stretches import WarmedConfig


@SCHEDULES.register("multistep")
@dataclass(frozen=True, kw_only=True)
class MultistepConfig(WarmedConfig):
    """DeepSeek LLM, arXiv 2401.02954: to 31.6 % and 10 %.

    `milestones` are fractions of the run, `factor` the LR after one over that before it.
    """

    kind: str = "multistep"
    milestones: list[float] = setting([0.8, 0.9])
    factor: float = setting(0.316227766, Within(0, 1, above=True))

    def after_warmup(self, room: Room) -> list[Piece]:
        """See ``WarmedConfig.after_warmup``."""
        ends = [round(m * room.steps) for m in self.milestones] + [room.steps]
        if ends != sorted(set(ends)) or not room.warmup <= ends[0]:
            raise ConfigError(
                f"schedule.milestones = {self.milestones} are the steps {ends[:-1]} of "
                f"{room.steps}; allowed are rising fractions of the run after the warm-up of "
                f"{room.warmup} steps"
            )
        begins = [room.warmup, *ends]
        rates = [settled(room.peak * self.factor**k) if k else room.peak for k in range(len(ends))]
        return [
            Piece("constant", end - begin, rate, rate)
            for begin, end, rate in zip(begins, ends, rates, strict=False)
        ]
