"""From the keys of a schedule to its pieces."""

from __future__ import annotations

import math
from typing import Any

from scalinglab.scaling.errors import ConfigError
from scalinglab.scaling.schedule.pieces import CURVES, SHAPES, Piece, is_flat
from scalinglab.scaling.schedule.room import Room
from scalinglab.scaling.schedule.schedule import ScheduleConfig


def build_pieces(
    config: ScheduleConfig, peak: float, steps: int, tokens_per_step: int
) -> list[Piece]:
    """The pieces of a schedule for a run.

    Raises
    ------
    ConfigError
        If what its kind needs is missing, or its parts do not fit into the run.
    """
    pieces = config.build(Room(peak, steps, 0, tokens_per_step))
    _check(config.kind, pieces, steps)
    # One spelling for one schedule: a decay to its own start is a constant.
    pieces = [Piece("constant", p.steps, p.start, p.end) if is_flat(p) else p for p in pieces]
    return [p for p in pieces if p.steps > 0]


def _check(kind: str, pieces: Any, steps: int) -> None:
    """Refuse what the code of a kind gives that is no schedule of such a run."""
    if not (isinstance(pieces, list) and all(isinstance(piece, Piece) for piece in pieces)):
        raise ConfigError(
            f"schedule.kind = {kind!r}: its pieces are no list of Piece: {pieces!r:.80}"
        )
    for piece in pieces:
        if piece.shape not in (*SHAPES, *CURVES):
            shapes = ", ".join((*SHAPES, *CURVES))
            raise ConfigError(
                f"schedule.kind = {kind!r}: a piece has shape {piece.shape!r}; known are {shapes}"
            )
        for rate in (piece.start, piece.end, *piece.rates):
            if not (math.isfinite(rate) and rate >= 0):
                raise ConfigError(
                    f"schedule.kind = {kind!r}: a piece has the rate {rate}; allowed is 0 or more"
                )
    if (filled := sum(piece.steps for piece in pieces)) != steps:
        raise ConfigError(
            f"schedule.kind = {kind!r}: its pieces fill {filled} steps of a run of {steps}"
        )
