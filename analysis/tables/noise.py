"""Noise of a measured loss: between runs that differ in nothing but their seed, and of rounding."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from analysis.laws.error_scale import ERROR_SCALES, Errors

_SCIENCE = ("N", "D", "C", "lr", "batch", "batch_tokens", "schedule", "arm")


def seed_noise(
    data: pd.DataFrame,
    *,
    by: Sequence[str] | None = None,
    response: str = "loss",
    errors: Errors = "relative",
) -> float | None:
    """Standard deviation of log(response) over seeds, pooled; None without repeats.

    Parameters
    ----------
    data : DataFrame
        With a column ``seed``.
    by : list of str, optional
        Columns in which repeats must agree. Default: those present of N, D, C, lr, batch,
        batch_tokens, schedule and arm.
    response : str
    errors : {"relative", "absolute"}
        "absolute": standard deviation of the response itself.

    Raises
    ------
    ValueError
        If a column is missing.
    """
    by = [c for c in _SCIENCE if c in data.columns] if by is None else list(by)
    for column in [*by, "seed", response]:
        if column not in data.columns:
            raise ValueError(f"seed noise needs column {column!r}")
    known = data[data[response] > 0] if errors == "relative" else data[data[response].notna()]
    scaled = ERROR_SCALES[errors].of(known[response].astype(float))
    groups = scaled.groupby([known[c] for c in by])
    spare = int((groups.size() - 1).sum())
    if spare < 1:
        return None
    within = scaled - groups.transform("mean")
    return float(np.sqrt((within**2).sum() / spare))


def rounding_noise(
    response: pd.Series, resolution: pd.Series, errors: Errors = "relative"
) -> float:
    """Standard deviation of what rounding to multiples of `resolution` leaves: 1/sqrt(12) of it."""
    size = resolution.astype(float) / np.sqrt(12)
    if errors == "relative":
        size = size / response.astype(float)
    return float(np.sqrt(np.mean(size**2)))
