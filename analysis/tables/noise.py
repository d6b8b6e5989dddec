"""Noise of a measured loss: between runs that differ in nothing but their seed, and of rounding.

A run that lies far from its repeats is wrong, or repeats nothing: it is named, and no noise.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from scalinglab.analysis.laws.error_scale import ERROR_SCALES, Errors
from scalinglab.analysis.tables.far_repeats import far_repeats
from scalinglab.scaling.errors import UserError

SCIENCE = ("N", "D", "C", "lr", "batch", "batch_tokens", "schedule", "arm")
RECIPE = ("recipe", "_arm", "optimizer")  # not every row has one: those without agree
# Settings of which trials may lack one: rows without agree, too.
_MAY_LACK = (*RECIPE, "weight_decay", "warmup", "depth", "width", "heads")
_NAMED = 3


@dataclass(frozen=True)
class FarRepeat:
    """A run far from those that repeat it.

    Attributes
    ----------
    row : hashable
        Its label in the table.
    others : tuple of hashable
        Rows that repeat it.
    error : float
        Its distance from their mean: a share of the response, or an amount.
    """

    row: Hashable
    others: tuple[Hashable, ...]
    error: float


@dataclass(frozen=True)
class SeedScatter:
    """The scatter of runs that differ only in their seeds.

    Attributes
    ----------
    noise : float
        Standard deviation, pooled over all repeated cells; NaN without repeats.
    seeds : int
        Fewest runs of a repeated cell.
    spare : int
        Degrees of freedom of the noise.
    far : tuple of FarRepeat
        Runs that are not counted, as they lie far from their repeats.
    errors : {"relative", "absolute"}
        On which scale.
    """

    noise: float
    seeds: int
    spare: int
    far: tuple[FarRepeat, ...] = ()
    errors: Errors = "relative"

    def sentences(self, name: Callable[[Any], str]) -> list[str]:
        """Each run far from its repeats, in words; `name` calls a row by its name."""
        say = ERROR_SCALES[self.errors].say
        usual = f", where repeats scatter by {say(self.noise)}" if self.spare else ""
        return [
            f"{name(one.row)} lies {say(one.error, 1, '+')} from"
            f" {' and '.join(name(row) for row in one.others[:_NAMED])}"
            f"{' and more' if len(one.others) > _NAMED else ''}, which"
            f" {'repeats' if len(one.others) == 1 else 'repeat'} it{usual}: one of them is wrong,"
            f" or they differ in more than their seeds. The noise of seeds is counted without"
            f" {name(one.row)}"
            for one in self.far
        ]


def seed_noise(
    data: pd.DataFrame,
    *,
    by: Sequence[str] | None = None,
    response: str = "loss",
    errors: Errors = "relative",
) -> float | None:
    """Standard deviation of log(response) over seeds, pooled; None without repeats.

    Of rows that also agree in their seed only the first counts: their difference is not seed noise.

    Parameters
    ----------
    data : DataFrame
        With a column ``seed``.
    by : list of str, optional
        Columns in which repeats must agree. Default: those present of N, D, C, lr, batch,
        batch_tokens, schedule, arm, and of recipe, _arm and optimizer.
    response : str
    errors : {"relative", "absolute"}
        "absolute": standard deviation of the response itself.

    Raises
    ------
    UserError
        If a column is missing.
    """
    scatter = seed_scatter(data, by=by, response=response, errors=errors)
    return scatter.noise if scatter.spare else None


def seed_scatter(
    data: pd.DataFrame,
    *,
    by: Sequence[str] | None = None,
    response: str = "loss",
    errors: Errors = "relative",
) -> SeedScatter:
    """The scatter of runs between seeds, without diverged runs; parameters as `seed_noise`.

    Raises
    ------
    UserError
        If a column is missing.
    """
    by = [c for c in (*SCIENCE, *RECIPE) if c in data.columns] if by is None else list(by)
    for column in [*by, "seed", response]:
        if column not in data.columns:
            raise UserError(f"seed noise needs column {column!r}")
    if not by:
        return SeedScatter(math.nan, 0, 0)  # no column identifies repeats
    data = data[np.isfinite(data[response].astype(float))]
    runs = data[data[response] > 0] if errors == "relative" else data[data[response].notna()]
    runs = runs[~runs.duplicated([*by, "seed"]) | runs["seed"].isna()]
    runs = runs.assign(**{name: pd.factorize(runs[name])[0] for name in _MAY_LACK if name in by})
    values = ERROR_SCALES[errors].of(runs[response].astype(float).to_numpy())
    cells = (
        runs.groupby(by).ngroup().fillna(-1).to_numpy(int)
    )  # -1: lacks a column, repeats nothing
    far, left = _without_far(values, cells, runs.index, errors)
    scaled, cell_of = pd.Series(values[left]), pd.Series(cells[left])
    groups = scaled.groupby(cell_of.where(cell_of >= 0))
    sizes = groups.size()
    spare = int((sizes - 1).sum())
    if spare < 1:
        return SeedScatter(math.nan, int(sizes.min()) if len(sizes) else 0, 0, far, errors)
    within = scaled - groups.transform("mean")
    noise = float(np.sqrt((within**2).sum() / spare))
    return SeedScatter(noise, int(sizes.min()), spare, far, errors)


def _without_far(
    values: np.ndarray, cells: np.ndarray, labels: pd.Index, errors: Errors
) -> tuple[tuple[FarRepeat, ...], np.ndarray]:
    """Runs far from their repeats, and which rows are left, an array of bool."""
    in_cell = np.flatnonzero(cells >= 0)
    places = in_cell[far_repeats(values[in_cell], cells[in_cell])]
    left = np.ones(len(values), bool)
    left[places] = False
    far = []
    for place in places:
        others = np.flatnonzero(left & (cells == cells[place]))
        distance = values[place] - values[others].mean()
        error = float(ERROR_SCALES[errors].error(distance))
        far.append(FarRepeat(labels[place], tuple(labels[others]), error))
    return tuple(far), left


def rounding_noise(
    response: pd.Series, resolution: pd.Series, errors: Errors = "relative"
) -> float:
    """Standard deviation of the error of rounding to multiples of a resolution."""
    size = resolution.astype(float) / np.sqrt(12)
    if errors == "relative":
        size = size / response.astype(float)
    return float(np.sqrt(np.mean(size**2)))
