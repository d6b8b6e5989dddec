"""An LR for every step, from a file; its content is the run's, not its name."""

from __future__ import annotations

import csv
import math
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from scalinglab.scaling.errors import ConfigError
from scalinglab.scaling.fields import one_of
from scalinglab.scaling.schedule.pieces import Piece, settled
from scalinglab.scaling.schedule.room import Room
from scalinglab.scaling.schedule.schedule import SCHEDULES, ScheduleConfig

_COLUMNS = ("lr", "ratio")


@SCHEDULES.register("file")
@dataclass(frozen=True, kw_only=True)
class FileConfig(ScheduleConfig):
    """The rates of `path`: an .npy of one LR a step, or a CSV.

    A CSV has the column `lr`, or `ratio` to the peak; with it `step` (of the update, from 0) or
    `fraction` (of the run, 0 to 1), between whose rows lie straight lines; else a row a step.
    """

    kind: str = "file"
    path: str | None = None

    def build(self, room: Room) -> list[Piece]:
        """See ``ScheduleConfig.build``."""
        if self.path is None:
            raise ConfigError(
                "schedule.path is not set: schedule.kind = 'file' needs a .csv or .npy"
            )
        rates = _read(Path(self.path), room)
        if not np.isfinite(rates).all() or rates.min() < 0 or rates.max() <= 0:
            raise ConfigError(
                f"schedule.path = {self.path!r} has rates from {rates.min():g} to "
                f"{rates.max():g}: allowed are finite ones >= 0, not all zero"
            )
        settled_rates = [settled(rate) for rate in rates]
        return [
            Piece("given", room.steps, settled_rates[0], settled_rates[-1], rates=settled_rates)
        ]


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
    path: Path, axis: str, positions: np.ndarray, rates: np.ndarray, at: np.ndarray
) -> np.ndarray:
    if (np.diff(positions) <= 0).any() or positions[0] > at[0] or positions[-1] < at[-1]:
        raise ConfigError(
            f"schedule.path = {str(path)!r}: column {axis!r} goes from {positions[0]:g} to "
            f"{positions[-1]:g}; allowed are rising values from {math.floor(at[0])} to "
            f"{math.ceil(at[-1])}"
        )
    between: np.ndarray = np.interp(at, positions, rates)
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
