"""A number and its interval, from the best parameters and the resampled ones."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from analysis.fitting.result import Result
    from analysis.laws.error_scale import ErrorScale

Array = np.ndarray

LOSSES = ("loss", "best_loss")  # of which the record of forecasts says how far off they may be


def drawn_params(result: Result) -> Array:
    """The best parameters, then those of every resample that has some; shape (1 + draws, ...)."""
    best = np.array([list(result.params.values())])
    return np.concatenate([best, result.draws.dropna().to_numpy()])


def spread(
    values: Mapping[str, Array], level: float, *, resampled: bool = True
) -> dict[str, float]:
    """``x``, ``x_lower`` and ``x_upper`` of each array: its first entry, and quantiles of the rest.

    The ends are NaN where there is nothing to take them from; not given at all for a fit that was
    made without resamples.
    """
    if not 0 < level < 1:
        raise ValueError(f"level={level!r} must lie between 0 and 1")
    row = {}
    for name, value in values.items():
        row[name] = float(value[0])
        if resampled:
            row[f"{name}_lower"], row[f"{name}_upper"] = quantiles(value[1:], level)
    return row


def spread_by(result: Result, values: Mapping[str, Array], level: float) -> dict[str, float]:
    """`spread` of what a fit gives: losses with ends as far apart as the record of forecasts says.

    Sizes, budgets and parameters keep the ends of their resamples: no forecast has tested them.
    """
    row = spread(values, level, resampled=len(result.draws) > 0)
    for lower, upper in ((f"{name}_lower", f"{name}_upper") for name in LOSSES):
        if lower in row:
            ends = row[lower], row[upper]
            row[lower], row[upper] = widened(*ends, result.inflation, result.scale)
    return row


def quantiles(drawn: Array, level: float) -> tuple[float, float]:
    """Lower and upper end of what was drawn, NaN left out."""
    known = drawn[np.isfinite(drawn)]
    if not len(known):
        return np.nan, np.nan
    low, high = np.quantile(known, ((1 - level) / 2, (1 + level) / 2))
    return float(low), float(high)


def widened(
    lower: Array, upper: Array, times: float, scale: ErrorScale
) -> tuple[Array, Array]:
    """The ends so many times as far from their middle, on a scale; as they are at 1."""
    if times == 1:
        return lower, upper
    low, high = scale.of(lower), scale.of(upper)
    more = (times - 1) * (high - low) / 2
    return scale.back(low - more), scale.back(high + more)


def in_words(inflation: float) -> str:
    """How intervals were widened by the record of forecasts; nothing if they were not."""
    if inflation == 1:
        return ""
    return f"{inflation:.2g} times as wide as the law says, by the track record"


def growth(x: Array, values: Array) -> Array:
    """Slope of log values, shape (k, draws), in log x, shape (k,); from the values that there are.

    NaN for a draw with fewer than two.
    """
    known = np.isfinite(values) & (values > 0)
    weight = known / np.maximum(known.sum(0), 1)
    log_x = np.log(x)[:, None]
    log_y = np.log(np.where(known, values, 1.0))
    away = (log_x - (weight * log_x).sum(0)) * weight
    bent = (away * log_x).sum(0)
    return np.where(known.sum(0) > 1, (away * log_y).sum(0) / np.where(bent > 0, bent, 1), np.nan)
