"""What a schedule has to fill, and how its end is cooled down."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from scalinglab.scaling.config import ConfigError, ScheduleConfig, one_of
from scalinglab.scaling.schedule.pieces import Piece

# The six shapes compared by Haegele et al., arXiv 2405.18392 (their `wsd_schedule`).
COOLDOWN_SHAPES = ("linear", "sqrt", "cosine", "mirror_cosine", "square", "exponential")


@dataclass(frozen=True)
class Room:
    """`steps` updates of `tokens_per_step` tokens, the first `warmup` of them rising to `peak`."""

    peak: float
    steps: int
    warmup: int
    tokens_per_step: int

    @property
    def left(self) -> int:
        """Steps after the warm-up."""
        return self.steps - self.warmup

    def steps_of(self, key: str, tokens: int, most: int) -> int:
        """Whole steps that `tokens` tokens take, at most `most`."""
        if tokens < 0:
            raise ConfigError(f"{key} = {tokens}: allowed is >= 0")
        steps = math.ceil(tokens / self.tokens_per_step)
        if steps > most:
            raise ConfigError(
                f"{key} = {tokens} is {steps} steps; allowed is up to {most} steps "
                f"({most * self.tokens_per_step} tokens) of this run of {self.steps}"
            )
        return steps


def cooldown_steps(config: ScheduleConfig, room: Room, least: int = 1) -> int:
    """Steps of the cooldown, the last `cooldown_fraction` of the run.

    Raises
    ------
    ConfigError
        If it would begin before the warm-up has ended, or has fewer than `least` steps.
    """
    steps = round(config.cooldown_fraction * room.steps)
    if not least <= steps <= room.left:
        raise ConfigError(
            f"schedule.cooldown_fraction = {config.cooldown_fraction} is {steps} of {room.steps} "
            f"steps; allowed is {least} to {room.left} steps, what the warm-up of {room.warmup} "
            "leaves"
        )
    return steps


def shaped(
    key: str,
    shape: str,
    steps: int,
    start: float,
    end: float,
    shapes: Sequence[str] = COOLDOWN_SHAPES,
) -> Piece:
    """A piece from `start` to `end` along one of `shapes`; `key` names the shape in messages."""
    one_of(key, shape, shapes)
    if shape == "exponential" and steps and end <= 0:
        raise ConfigError(
            f"{key} = 'exponential' never reaches zero: it needs a final rate above "
            "0, as schedule.final_ratio = 0.01"
        )
    return Piece(shape, steps, start, end)


def cooled(config: ScheduleConfig, room: Room, trunk: Sequence[Piece], steps: int) -> list[Piece]:
    """A trunk and a cooldown of `steps` from where it ends to `final_ratio` of the peak."""
    ended = next((p.end for p in reversed(trunk) if p.steps), trunk[-1].start)
    end = room.peak * config.final_ratio
    last = shaped("schedule.cooldown_shape", config.cooldown_shape, steps, ended, end)
    return [*trunk, last]
