"""The power scheduler: an LR that depends on the tokens seen and on no length."""

from __future__ import annotations

from dataclasses import dataclass

from scalinglab.scaling.errors import ConfigError
from scalinglab.scaling.fields import ABOVE_0, setting
from scalinglab.scaling.schedule.pieces import Piece
from scalinglab.scaling.schedule.room import Room
from scalinglab.scaling.schedule.schedule import SCHEDULES
from scalinglab.scaling.schedule.stretches import CooledConfig, power_law


@SCHEDULES.register("power")
@dataclass(frozen=True, kw_only=True)
class PowerConfig(CooledConfig):
    """min(peak, batch * a * n^-b) after n tokens: Shen et al., arXiv 2408.13359.

    Their batch counts sequences; `coefficient` is batch * a, so that no batch is hidden here, and
    `exponent` is b.
    """

    kind: str = "power"
    coefficient: float | None = setting(None, ABOVE_0)
    exponent: float = setting(0.51, ABOVE_0)

    def after_warmup(self, room: Room) -> list[Piece]:
        """See ``WarmedConfig.after_warmup``."""
        if self.coefficient is None:
            raise ConfigError(
                "schedule.coefficient is not set: schedule.kind = 'power' needs one above 0"
            )
        meets = (self.coefficient / room.peak) ** (1 / self.exponent) / room.tokens_per_step
        last = self.cooldown_steps(room)
        trunk = power_law(room, room.left - last, meets, self.exponent)
        return self.cooled(room, trunk, last)
