"""Schedules that are written down whole: piece by piece, as a file, or after another one's end."""

from __future__ import annotations

import csv
import math
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np

from scalinglab.scaling.config import ConfigError, PieceConfig, ScheduleConfig, from_dict, one_of
from scalinglab.scaling.schedule.pieces import SHAPES, Piece, settled
from scalinglab.scaling.schedule.room import Room, shaped

Build = Callable[[ScheduleConfig, float, int, int], list[Piece]]
FREE_SHAPES = (*SHAPES, "exponential")
_COLUMNS = ("lr", "ratio")


def rewarmed(config: ScheduleConfig, room: Room, build: Build) -> list[Piece]:
    """The schedule `before` to its end, then up to the peak again and down (arXiv 2308.04014).

    A run whose schedule is `before` is a prefix of this one: it starts from its checkpoint.
    """
    before = dict(config.before)
    tokens, peak = before.pop("tokens", None), before.pop("lr", None)
    if not isinstance(tokens, int | float) or not before:
        raise ConfigError(
            f"schedule.before = {config.before!r}: schedule.kind = 'rewarm' needs the schedule of "
            "the run that it goes on from, with its tokens, as {kind: cosine, tokens: 1048576}"
        )
    former = from_dict(ScheduleConfig, before, "schedule.before")
    passed = room.steps_of("schedule.before.tokens", int(tokens), room.steps - 1)
    pieces = build(former, room.peak if peak is None else peak, passed, room.tokens_per_step)
    left = room.steps - passed
    rise = room.steps_of("schedule.rewarm_tokens", config.rewarm_tokens, left - 1)
    return [
        *pieces,
        Piece("linear", rise, pieces[-1].end, room.peak),
        shaped(
            "schedule.cooldown_shape",
            config.cooldown_shape,
            left - rise,
            room.peak,
            room.peak * config.final_ratio,
        ),
    ]


def free_pieces(config: ScheduleConfig, room: Room, build: Build) -> list[Piece]:
    """`schedule.pieces` one after the other, their rates in units of the peak."""
    if not config.pieces:
        raise ConfigError(
            "schedule.pieces is empty: schedule.kind = 'pieces' needs at least one, "
            "as {shape: linear, tokens: 65536, start: 0, end: 1}"
        )
    lengths = _lengths(config.pieces, room)
    pieces: list[Piece] = []
    for i, (written, steps) in enumerate(zip(config.pieces, lengths, strict=True)):
        key = f"schedule.pieces[{i}]"
        before = pieces[-1].end if pieces else 0.0
        start = before if written.start is None else written.start * room.peak
        end = start if written.end is None else written.end * room.peak
        if min(start, end) < 0:
            raise ConfigError(f"{key}: start and end are multiples of the peak LR, 0 or more")
        if written.shape == "exponential" and start <= 0:
            raise ConfigError(f"{key}.shape = 'exponential' needs a start above 0")
        pieces.append(shaped(f"{key}.shape", written.shape, steps, start, end, FREE_SHAPES))
    return [replace(p, end=p.start) if p.shape == "constant" else p for p in pieces]


def _lengths(written: list[PieceConfig], room: Room) -> list[int]:
    """Steps of each piece: by its tokens, its fraction of the run, or what the others leave."""
    steps: list[int | None] = []
    for i, piece in enumerate(written):
        key = f"schedule.pieces[{i}]"
        if piece.tokens is not None and piece.fraction is not None:
            raise ConfigError(f"{key} has tokens and a fraction: allowed is one of them")
        if piece.tokens is not None:
            steps.append(room.steps_of(f"{key}.tokens", piece.tokens, room.steps))
        elif piece.fraction is not None:
            if not 0 <= piece.fraction <= 1:
                raise ConfigError(f"{key}.fraction = {piece.fraction}: allowed is 0 to 1")
            steps.append(round(piece.fraction * room.steps))
        else:
            steps.append(None)
    rest = room.steps - sum(s for s in steps if s is not None)
    if steps.count(None) > 1 or rest < 0 or (rest and None not in steps):
        raise ConfigError(
            f"schedule.pieces leave {rest} of the run's {room.steps} steps to "
            f"{steps.count(None)} pieces without tokens or fraction; allowed is that exactly one "
            "takes the rest, or that nothing is left"
        )
    return [rest if s is None else s for s in steps]


def given_rates(config: ScheduleConfig, room: Room, build: Build) -> list[Piece]:
    """The rates of `schedule.path`: an .npy of one LR a step, or a CSV.

    A CSV has the column `lr`, or `ratio` to the peak; with it `step` (of the update, from 0) or
    `fraction` (of the run, 0 to 1), between whose rows lie straight lines; else a row a step.
    """
    if config.path is None:
        raise ConfigError("schedule.path is not set: schedule.kind = 'file' needs a .csv or .npy")
    rates = _read(Path(config.path), room)
    if not np.isfinite(rates).all() or rates.min() < 0 or rates.max() <= 0:
        raise ConfigError(
            f"schedule.path = {config.path!r} has rates from {rates.min():g} to "
            f"{rates.max():g}: allowed are finite ones >= 0, not all zero"
        )
    given = [settled(rate) for rate in rates]
    return [Piece("given", room.steps, given[0], given[-1], rates=given)]


def _read(path: Path, room: Room) -> np.ndarray:
    if not path.is_file():
        raise ConfigError(f"schedule.path = {str(path)!r}: there is no such file")
    one_of("the ending of schedule.path", path.suffix, (".csv", ".npy"))
    columns = {"lr": np.load(path)} if path.suffix == ".npy" else _columns(path)
    name = next((c for c in _COLUMNS if c in columns), None)
    if name is None or columns[name].ndim != 1 or not len(columns[name]):
        raise ConfigError(
            f"schedule.path = {str(path)!r} has {', '.join(columns)}: it needs a "
            f"column {' or '.join(_COLUMNS)} of numbers"
        )
    rates: np.ndarray = columns[name] * (room.peak if name == "ratio" else 1.0)
    for axis, at in {
        "step": np.arange(room.steps),
        "fraction": (np.arange(room.steps) + 0.5) / room.steps,
    }.items():
        if axis in columns:
            return _between(path, axis, columns[axis], rates, at)
    if len(rates) != room.steps:
        raise ConfigError(
            f"schedule.path = {str(path)!r} has {len(rates)} rates for a run of {room.steps} "
            "steps; allowed is one a step, or a column 'fraction' for any length"
        )
    return rates


def _between(
    path: Path, axis: str, known: np.ndarray, rates: np.ndarray, at: np.ndarray
) -> np.ndarray:
    if (np.diff(known) <= 0).any() or known[0] > at[0] or known[-1] < at[-1]:
        raise ConfigError(
            f"schedule.path = {str(path)!r}: column {axis!r} goes from {known[0]:g} to "
            f"{known[-1]:g}; allowed are rising values from {math.floor(at[0])} to "
            f"{math.ceil(at[-1])}"
        )
    between: np.ndarray = np.interp(at, known, rates)
    return between


def _columns(path: Path) -> dict[str, np.ndarray]:
    with path.open(newline="") as file:
        rows = list(csv.DictReader(file))
    try:
        return {name: np.array([float(row[name]) for row in rows]) for name in rows[0]}
    except (IndexError, TypeError, ValueError) as error:
        raise ConfigError(
            f"schedule.path = {str(path)!r} is not a table of numbers with a line "
            f"of column names: {error}"
        ) from error
