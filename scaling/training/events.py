"""The steps of a run at which validation is measured: a pure function of its schedule."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Sequence

from scalinglab.scaling.schedule.pieces import Piece, is_flat

FIRST = 32
POINTS_A_PIECE = 8


def validation_steps(pieces: Sequence[Piece], mixture: Iterable[Sequence[Piece]] = ()) -> list[int]:
    """Steps after which validation is measured, ascending; the last step is among them.

    Log-spaced (factor sqrt 2) over the whole run, since losses are power laws of the step, and on
    a linear grid inside every piece of a fixed length that changes the LR but for the warm-up,
    since there the loss moves with the LR; and inside every piece of `mixture`, the shares of
    pools, in which one moves. Neither grid depends on what comes after, so runs that
    share a prefix share its measurements.
    """
    total = sum(piece.steps for piece in pieces)
    planned = {total}
    for power in itertools.count():
        step = round(FIRST * 2 ** (power / 2))
        if step >= total:
            break
        planned.add(step)
    start = 0
    for i, piece in enumerate(pieces):
        warmup = i == 0 and piece.start < piece.end
        if piece.shape not in ("constant", "power") and not warmup:
            planned.update(_inside(piece, start))
        start += piece.steps
    for shares in mixture:
        start = 0
        for piece in shares:
            if not is_flat(piece):
                planned.update(_inside(piece, start))
            start += piece.steps
    return sorted(planned)


def _inside(piece: Piece, start: int) -> list[int]:
    points = min(POINTS_A_PIECE, piece.steps)
    return [start + piece.steps * j // points for j in range(1, points + 1)]
