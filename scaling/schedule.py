"""The learning rate as a pure function of the step, built from data.

A schedule is a list of pieces, evaluated to an array before the run. There is no scheduler state
anywhere: a branch that starts from a trunk's checkpoint cannot inherit a wrong one.

Convention: ``lr[i]`` is the rate of update i (from 0). A piece of n steps from a to b is sampled
at the middles of its steps, so no step is wasted at rate zero and its area is the exact integral.

>>> lr_array([Piece("linear", 2, 0.0, 1.0), Piece("constant", 2, 1.0, 1.0)]).tolist()
[0.25, 0.75, 1.0, 1.0]
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from scaling.config import ConfigError, ScheduleConfig, one_of

# Fraction of the way from `start` to `end`, against the fraction x of the piece that has passed.
SHAPES: Mapping[str, Callable[[np.ndarray], np.ndarray]] = {
    "constant": lambda x: np.zeros_like(x),
    "linear": lambda x: x,
    "cosine": lambda x: (1 - np.cos(np.pi * x)) / 2,
    "sqrt": np.sqrt,  # the 1-sqrt cooldown of Haegele et al., arXiv 2405.18392
}
COOLDOWN_SHAPES = ("linear", "sqrt", "cosine")


@dataclass(frozen=True)
class Piece:
    """`steps` updates whose rate goes from `start` to `end` along `shape`."""

    shape: str
    steps: int
    start: float
    end: float


def lr_array(pieces: Sequence[Piece]) -> np.ndarray:
    """Rates of all updates, float64 of shape (steps,)."""
    return np.concatenate([_sample(piece) for piece in pieces])


def _sample(piece: Piece) -> np.ndarray:
    x = (np.arange(piece.steps) + 0.5) / max(piece.steps, 1)
    return piece.start + (piece.end - piece.start) * SHAPES[piece.shape](x)


def build_pieces(
    config: ScheduleConfig, peak: float, steps: int, tokens_per_step: int
) -> list[Piece]:
    """The pieces of a named schedule: a linear warm-up, then its kind.

    Raises
    ------
    ConfigError
        If the kind is unknown or the warm-up and the cooldown do not fit into the run.
    """
    one_of("schedule.kind", config.kind, KINDS)
    if not 0 <= config.final_ratio <= 1:
        raise ConfigError(f"schedule.final_ratio = {config.final_ratio}: allowed is 0 to 1")
    if config.warmup_tokens < 0:
        raise ConfigError(f"schedule.warmup_tokens = {config.warmup_tokens}: allowed is >= 0")
    warmup = math.ceil(config.warmup_tokens / tokens_per_step)
    if warmup >= steps:
        raise ConfigError(
            f"schedule.warmup_tokens = {config.warmup_tokens} is {warmup} steps, longer than the "
            f"run of {steps} steps (tokens = {steps * tokens_per_step}); allowed is less than "
            f"{steps * tokens_per_step}"
        )
    pieces = [Piece("linear", warmup, 0.0, peak), *KINDS[config.kind](config, peak, steps, warmup)]
    # One spelling for one schedule: a decay to its own start is a constant.
    pieces = [replace(p, shape="constant") if p.start == p.end else p for p in pieces]
    return [p for p in pieces if p.steps > 0]


def _constant(config: ScheduleConfig, peak: float, steps: int, warmup: int) -> list[Piece]:
    return [Piece("constant", steps - warmup, peak, peak)]


def _decay(shape: str) -> Callable[[ScheduleConfig, float, int, int], list[Piece]]:
    def pieces(config: ScheduleConfig, peak: float, steps: int, warmup: int) -> list[Piece]:
        return [Piece(shape, steps - warmup, peak, peak * config.final_ratio)]

    return pieces


def _wsd(config: ScheduleConfig, peak: float, steps: int, warmup: int) -> list[Piece]:
    """Warm-up, stable, decay: the cooldown is the last `cooldown_fraction` of the run."""
    one_of("schedule.cooldown_shape", config.cooldown_shape, COOLDOWN_SHAPES)
    cooldown = round(config.cooldown_fraction * steps)
    if not 0 < cooldown <= steps - warmup:
        raise ConfigError(
            f"schedule.cooldown_fraction = {config.cooldown_fraction} is {cooldown} of {steps} "
            f"steps; allowed is 1 to {steps - warmup} steps, what the warm-up of {warmup} leaves"
        )
    return [
        Piece("constant", steps - warmup - cooldown, peak, peak),
        Piece(config.cooldown_shape, cooldown, peak, peak * config.final_ratio),
    ]


KINDS: Mapping[str, Callable[[ScheduleConfig, float, int, int], list[Piece]]] = {
    "constant": _constant,
    "linear": _decay("linear"),
    "cosine": _decay("cosine"),
    "wsd": _wsd,
}


def prefix(pieces: Sequence[Piece], step: int) -> list[dict]:
    """Canonical description of the first `step` updates, the same for every run that shares them.

    A constant stretch is known by how much of it has passed, whatever its length; any other piece
    by its whole form and how much of it has passed.
    """
    described: list[dict] = []
    left = step
    for piece in pieces:
        taken = min(left, piece.steps)
        if taken == 0:
            continue
        left -= taken
        if piece.shape == "constant" or piece.start == piece.end:
            last = described[-1] if described else None
            if last and last["shape"] == "constant" and last["start"] == piece.start:
                last["steps"] += taken
            else:
                described.append({"shape": "constant", "steps": taken, "start": piece.start})
        else:
            described.append(vars(piece) | {"taken": taken})
    if left:
        raise ValueError(f"step {step} lies beyond the schedule's {step - left} steps")
    return described


def shared_steps(one: Sequence[Piece], other: Sequence[Piece]) -> int:
    """How many first updates two schedules have in common (same pieces so far)."""
    ends = {0}
    for pieces in (one, other):
        step = 0
        for piece in pieces:
            step += piece.steps
            ends.add(step)
    limit = min(sum(p.steps for p in one), sum(p.steps for p in other))
    # Two schedules part at the end of a piece of one of them.
    return next(s for s in sorted(ends, reverse=True)
                if s <= limit and prefix(one, s) == prefix(other, s))


def branch_points(pieces: Sequence[Piece]) -> list[int]:
    """Steps at which a constant stretch ends: where other runs may branch off."""
    points, step = [], 0
    for piece in pieces:
        step += piece.steps
        if piece.shape == "constant":
            points.append(step)
    return points
