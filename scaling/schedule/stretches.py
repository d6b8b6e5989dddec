"""Stretches that several kinds of schedule share: a warm-up, a power law, a cooldown."""

from __future__ import annotations

import math
from abc import abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass, replace

from scalinglab.scaling.errors import ConfigError
from scalinglab.scaling.fields import AT_LEAST_0, FRACTION, setting
from scalinglab.scaling.schedule.pieces import Piece, settled
from scalinglab.scaling.schedule.room import COOLDOWN_SHAPES, Room, shaped
from scalinglab.scaling.schedule.schedule import ScheduleConfig

WARMUP_TOKENS = 65_536  # where neither a value nor a rule is given
SHORT_RUN_WARMUP = 0.1  # of a run that is no longer than that


@dataclass(frozen=True, kw_only=True)
class WarmedConfig(ScheduleConfig):
    """A linear warm-up, and then what the kind says.

    Attributes
    ----------
    warmup_tokens : int or None
        None: by the rule, else `default_warmup`.
    """

    warmup_tokens: int | None = setting(None, AT_LEAST_0)

    def build(self, room: Room) -> list[Piece]:
        """See ``ScheduleConfig.build``."""
        room = replace(room, warmup=self._warmup_steps(room))
        after = self.after_warmup(room)
        return [Piece("linear", room.warmup, 0.0, after[0].start), *after]

    @abstractmethod
    def after_warmup(self, room: Room) -> list[Piece]:
        """The pieces after the warm-up."""

    def _warmup_steps(self, room: Room) -> int:
        tokens = self.warmup_tokens
        if tokens is None:
            tokens = default_warmup(room.steps, room.tokens_per_step)
        warmup = math.ceil(tokens / room.tokens_per_step)
        if warmup >= room.steps:
            run_tokens = room.steps * room.tokens_per_step
            raise ConfigError(
                f"schedule.warmup_tokens = {tokens} is {warmup} steps, longer than the run of "
                f"{room.steps} steps (tokens = {run_tokens}); allowed is less than {run_tokens}, "
                "or "
                "schedule.warmup_tokens=null: a default that fits the run"
            )
        return warmup


def default_warmup(steps: int, tokens_per_step: int) -> int:
    """Tokens of the warm-up where neither a value nor a rule is given.

    The same for all runs that are longer, so that runs of several lengths share their trunk; of a
    shorter run, a part.
    """
    if -(-WARMUP_TOKENS // tokens_per_step) < steps:
        return WARMUP_TOKENS
    return int(SHORT_RUN_WARMUP * steps) * tokens_per_step


@dataclass(frozen=True, kw_only=True)
class EndingConfig(WarmedConfig):
    """A schedule that ends at a rate of its own.

    Attributes
    ----------
    final_ratio : float
        The last LR over the peak.
    """

    final_ratio: float = setting(0.0, FRACTION)


@dataclass(frozen=True, kw_only=True)
class CooledConfig(EndingConfig):
    """A trunk, and a cooldown at the end of the run.

    Attributes
    ----------
    cooldown_fraction : float
        Of the run_tokens run.
    cooldown_shape : str
        How the LR falls.
    """

    cooldown_fraction: float = setting(0.2, FRACTION)
    cooldown_shape: str = setting("linear", COOLDOWN_SHAPES)

    def cooldown_steps(self, room: Room, least: int = 0) -> int:
        """Steps of the cooldown, the last `cooldown_fraction` of the run.

        Raises
        ------
        ConfigError
            If it would begin before the warm-up has ended, or has fewer than `least` steps.
        """
        steps = round(self.cooldown_fraction * room.steps)
        if not least <= steps <= room.left:
            raise ConfigError(
                f"schedule.cooldown_fraction = {self.cooldown_fraction} is {steps} of "
                f"{room.steps} steps; allowed is {least} to {room.left} steps, what the warm-up of "
                f"{room.warmup} leaves"
            )
        return steps

    def cooled(self, room: Room, trunk: Sequence[Piece], steps: int) -> list[Piece]:
        """A trunk and a cooldown of `steps` from where it ends to `final_ratio` of the peak."""
        ended = next((p.end for p in reversed(trunk) if p.steps), trunk[-1].start)
        end = room.peak * self.final_ratio
        last = shaped("schedule.cooldown_shape", self.cooldown_shape, steps, ended, end)
        return [*trunk, last]


def power_law(room: Room, steps: int, meets: float, exponent: float) -> list[Piece]:
    """peak * min(1, (step / meets)^-exponent) for `steps` steps after the warm-up."""
    flat = min(max(math.ceil(meets) - room.warmup, 0), steps)
    begin = room.warmup + flat
    start = settled(room.peak * min(1.0, (begin / meets) ** -exponent))
    end = settled(start * ((begin + steps - flat) / begin) ** -exponent)
    falls = Piece("power", steps - flat, start, end, exponent=exponent, since=float(begin))
    # Without a flat stretch the warm-up ends where the power law stands by then.
    return [Piece("constant", flat, room.peak, room.peak), falls] if flat else [falls]
