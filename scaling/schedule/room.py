"""The steps that a schedule has to fill."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from scalinglab.scaling.errors import ConfigError
from scalinglab.scaling.fields import AT_LEAST_0, one_of
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
        if tokens not in AT_LEAST_0:
            raise ConfigError(f"{key} = {tokens}: allowed is {AT_LEAST_0}")
        steps = math.ceil(tokens / self.tokens_per_step)
        if steps > most:
            raise ConfigError(
                f"{key} = {tokens} is {steps} steps; allowed is up to {most} steps "
                f"({most * self.tokens_per_step} tokens) of this run of {self.steps}"
            )
        return steps

    def lengths_of(self, key: str, written: Sequence[tuple[int | None, float | None]]) -> list[int]:
        """Steps of each piece: by its tokens, by its fraction of the run, or all that others leave.

        Parameters
        ----------
        key : str
            The key of the pieces, for messages.
        written : sequence of (int or None, float or None)
            Tokens and fraction of each piece.
        """
        steps: list[int | None] = []
        for i, (tokens, fraction) in enumerate(written):
            if tokens is not None and fraction is not None:
                raise ConfigError(f"{key}[{i}] has tokens and a fraction: allowed is one of them")
            if tokens is not None:
                steps.append(self.steps_of(f"{key}[{i}].tokens", tokens, self.steps))
            elif fraction is not None:
                steps.append(round(fraction * self.steps))
            else:
                steps.append(None)
        unassigned = self.steps - sum(s for s in steps if s is not None)
        if steps.count(None) > 1 or unassigned < 0 or (unassigned and None not in steps):
            raise ConfigError(
                f"{key} leave {unassigned} of the run's {self.steps} steps to "
                f"{steps.count(None)} pieces without tokens or fraction; allowed is that exactly "
                "one takes the rest, or that nothing is left"
            )
        return [unassigned if s is None else s for s in steps]


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
