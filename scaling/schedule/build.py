"""From the keys of a schedule to its pieces."""

from __future__ import annotations

from scalinglab.scaling.schedule.pieces import Piece, is_flat
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
    # One spelling for one schedule: a decay to its own start is a constant.
    pieces = [Piece("constant", p.steps, p.start, p.end) if is_flat(p) else p for p in pieces]
    return [p for p in pieces if p.steps > 0]
