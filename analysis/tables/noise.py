"""Noise of a measured loss: between runs that differ in nothing but their seed, and of rounding."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from scalinglab.analysis.laws.error_scale import ERROR_SCALES, Errors
from scalinglab.scaling.errors import UserError

SCIENCE = ("N", "D", "C", "lr", "batch", "batch_tokens", "schedule", "arm")
RECIPE = ("recipe", "_arm", "optimizer")  # not every row has one: those without agree


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
    """

    noise: float
    seeds: int
    spare: int


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
    runs = runs.assign(**{name: pd.factorize(runs[name])[0] for name in RECIPE if name in by})
    on_scale = ERROR_SCALES[errors].of
    scaled = pd.Series(on_scale(runs[response].astype(float).to_numpy()), runs.index)
    groups = scaled.groupby([runs[c] for c in by])
    sizes = groups.size()
    spare = int((sizes - 1).sum())
    if spare < 1:
        return SeedScatter(math.nan, int(sizes.min()) if len(sizes) else 0, 0)
    within = scaled - groups.transform("mean")
    return SeedScatter(float(np.sqrt((within**2).sum() / spare)), int(sizes.min()), spare)


def rounding_noise(
    response: pd.Series, resolution: pd.Series, errors: Errors = "relative"
) -> float:
    """Standard deviation of the error of rounding to multiples of a resolution."""
    size = resolution.astype(float) / np.sqrt(12)
    if errors == "relative":
        size = size / response.astype(float)
    return float(np.sqrt(np.mean(size**2)))
