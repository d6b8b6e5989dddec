"""Any schedule, piece by piece."""

from __future__ import annotations

from dataclasses import dataclass, replace

from scalinglab.scaling.errors import ConfigError
from scalinglab.scaling.fields import AT_LEAST_0, FRACTION, setting
from scalinglab.scaling.schedule.pieces import SHAPES, Piece
from scalinglab.scaling.schedule.room import Room, shaped
from scalinglab.scaling.schedule.schedule import SCHEDULES, ScheduleConfig

FREE_SHAPES = (*SHAPES, "exponential")


@dataclass(frozen=True)
class PieceConfig:
    """One piece: tokens or a fraction of the run; rates over the peak LR."""

    shape: str = setting("constant", FREE_SHAPES)
    tokens: int | None = setting(None, AT_LEAST_0)
    fraction: float | None = setting(None, FRACTION)  # neither: what the others leave
    start: float | None = setting(None, AT_LEAST_0)  # None: where the piece before ended
    end: float | None = setting(None, AT_LEAST_0)  # None: as it starts


@SCHEDULES.register("pieces")
@dataclass(frozen=True, kw_only=True)
class PiecesConfig(ScheduleConfig):
    """`pieces` one after the other, their rates in units of the peak."""

    kind: str = "pieces"
    pieces: list[PieceConfig] = setting([])

    def build(self, room: Room) -> list[Piece]:
        """See ``ScheduleConfig.build``."""
        if not self.pieces:
            raise ConfigError(
                "schedule.pieces is empty: schedule.kind = 'pieces' needs at least one, "
                "as {shape: linear, tokens: 65536, start: 0, end: 1}"
            )
        lengths = room.lengths_of("schedule.pieces", [(p.tokens, p.fraction) for p in self.pieces])
        pieces: list[Piece] = []
        for i, (written, steps) in enumerate(zip(self.pieces, lengths, strict=True)):
            key = f"schedule.pieces[{i}]"
            before = pieces[-1].end if pieces else 0.0
            start = before if written.start is None else written.start * room.peak
            end = start if written.end is None else written.end * room.peak
            if written.shape == "exponential" and start <= 0:
                raise ConfigError(f"{key}.shape = 'exponential' needs a start above 0")
            pieces.append(shaped(f"{key}.shape", written.shape, steps, start, end, FREE_SHAPES))
        return [replace(p, end=p.start) if p.shape == "constant" else p for p in pieces]
