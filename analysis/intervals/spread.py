"""A number and its interval, from the best parameters and the resampled ones.

Some resamples give parameters under which a question has no answer: a predicted loss below zero, a
budget without a best split. They are NaN among the draws. Such a draw could lie at either end, so
the interval must hold wherever these draws lie; if they are more than the draws of one tail, there
is no interval. Whoever shows an interval also shows their share (`missing_draws_in_words`).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np

from scalinglab.scaling.errors import UserError

if TYPE_CHECKING:
    import pandas as pd

    from scalinglab.analysis.laws.error_scale import ErrorScale

Array = np.ndarray

IMPOSSIBLE = "predict an impossible loss"  # see `missing_draws_in_words`


def values_with_intervals(
    values: Mapping[str, Array], level: float, *, resampled: bool = True
) -> dict[str, float]:
    """``x``, ``x_lower`` and ``x_upper`` of each array: its first entry, and quantiles of the rest.

    The ends are NaN where `quantiles` gives none; left out for a fit that was made without
    resamples.

    Raises
    ------
    UserError
        If the level does not lie between 0 and 1.
    """
    if not 0 < level < 1:
        raise UserError(f"level={level!r} must lie between 0 and 1")
    row = {}
    for name, value in values.items():
        row[name] = float(value[0])
        if resampled:
            row[f"{name}_lower"], row[f"{name}_upper"] = map(float, quantiles(value[1:], level))
    return row


def quantiles(drawn: Array, level: float) -> Array:
    """Lower and upper end of what was drawn, shape (draws, ...) -> (2, ...).

    NaN is a draw without a value: the ends are those that hold wherever such draws lie, and NaN
    where they outnumber the draws of one tail. An infinite draw is a value like any other.
    """
    drawn = np.asarray(drawn, float)
    if not len(drawn):
        return np.full((2, *drawn.shape[1:]), np.nan)
    tail = (1 - level) / 2
    finite = np.isfinite(drawn).all(axis=0)
    if finite.all():
        return np.quantile(drawn, (tail, 1 - tail), axis=0)
    # Whole ranks, outwards: between a value and none there is nothing to interpolate.
    last = len(drawn) - 1
    rank = int(tail * last)
    lacking = np.isnan(drawn).sum(axis=0)
    ordered = np.sort(drawn, axis=0)  # NaN last: for the upper end they stand where they should
    low = np.take_along_axis(ordered, np.maximum(rank - lacking, 0)[None], axis=0)[0]
    ends = np.where(lacking > rank, np.nan, [low, ordered[last - rank]])
    if finite.any():
        ends[:, finite] = np.quantile(drawn[:, finite], (tail, 1 - tail), axis=0)
    return ends


def missing_draws_in_words(share: float, level: float, predicate: str) -> str:
    """How resamples without a value affect an interval; empty if there are none.

    Parameters
    ----------
    share : float
        Share of the resamples without a value.
    level : float
        Level of the interval.
    predicate : str
        Why they have none, as a predicate: `IMPOSSIBLE`, ``have no best split``.
    """
    if not share > 0:
        return ""
    percentage = f"{share:.0%}" if share >= 0.01 else f"{share:.2%}"
    outcome = "there is no interval" if share > (1 - level) / 2 else "the interval allows for them"
    return f"{percentage} of the resamples {predicate}: {outcome}"


def interval_in_words(lower: float, upper: float, form: str = ".4f") -> str:
    """An interval after its number, `` (1.2 to 1.3)``; empty if there is none."""
    return "" if np.isnan(lower) or np.isnan(upper) else f" ({lower:{form}} to {upper:{form}})"


def inside_interval(measured: pd.Series, table: pd.DataFrame) -> pd.Series:
    """Whether each interval of a table contains the measured value; NaN without an interval."""
    inside = measured.between(table["lower"], table["upper"])
    return inside.where(table["lower"].notna() & table["upper"].notna())


def scaled_interval(
    lower: Array, upper: Array, factor: float, scale: ErrorScale
) -> tuple[Array, Array]:
    """The ends `factor` times as far from their middle, on a scale; unchanged at 1."""
    if factor == 1:
        return lower, upper
    low, high = scale.of(lower), scale.of(upper)
    more = (factor - 1) * (high - low) / 2
    return scale.back(low - more), scale.back(high + more)


def calibration_in_words(factor: float) -> str:
    """How intervals were widened by the record of forecasts; empty if they were not."""
    if factor == 1:
        return ""
    return f"widened {factor:.2g}x by the record of earlier forecasts"


def log_log_slope(x: Array, values: Array) -> Array:
    """Slope of log values, shape (k, draws), in log x, shape (k,); from the values that there are.

    NaN for a draw with fewer than two.
    """
    is_known = np.isfinite(values) & (values > 0)
    weight = is_known / np.maximum(is_known.sum(0), 1)
    log_x = np.log(x)[:, None]
    log_y = np.log(np.where(is_known, values, 1.0))
    away = (log_x - (weight * log_x).sum(0)) * weight
    bent = (away * log_x).sum(0)
    return np.where(
        is_known.sum(0) > 1, (away * log_y).sum(0) / np.where(bent > 0, bent, 1), np.nan
    )
