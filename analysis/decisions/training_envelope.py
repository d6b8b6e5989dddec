"""Approach 1: the size with the least loss at each compute, from final losses or curves.

A report and `compare_approaches` take the final losses of all runs of one size, interpolated in C
between the runs; training curves only where they are given.

Each point must be as good as its length allows (arXiv:2203.15556 trains each size on several
cosines): points in the middle of a schedule are too high. Between sizes the envelope jumps, and at
its ends the best size is just the last one measured. So only points count at which the best size
is inside those measured. The intervals resample sizes, as the best one changes if a size is left
out.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from scalinglab.analysis.decisions.cost_functions import SIX_ND, Cost
from scalinglab.scaling.errors import UserError

Array = np.ndarray

_GRID = 300  # values of log C; arXiv:2203.15556 takes 1,500
_SAME_SIZE = 0.02  # gap in log N between two sizes
LEAST_SIZES = 3  # measured at one C, so that one of them can be inside


@dataclass(frozen=True)
class Envelope:
    """The sizes on the envelope of losses.

    Attributes
    ----------
    table : DataFrame
        One row per value of C at which the best size is inside those measured: ``C, N, loss``.
    sizes : int
        Different sizes that are on it.
    power : array, shape (1 + resamples, 2)
        Intercept and slope of log N in log C: the best, then of resampled sizes; NaN where a
        resample has no envelope.
    refused : str
        Why there is none; empty where there is.
    """

    table: pd.DataFrame
    sizes: int
    power: Array
    refused: str


def envelope(
    points: pd.DataFrame, *, cost: Cost = SIX_ND, resamples: int = 1000, seed: int = 0
) -> Envelope:
    """Find the envelope of the losses of all sizes.

    Parameters
    ----------
    points : DataFrame
        ``N, D, loss``: each size at several D, rows of whole curves or the ends of several runs.
    cost : callable
        As in `analysis.allocate`.
    resamples : int
        How often sizes are drawn again, for the intervals; 0 for none.
    seed : int
        Of these draws.

    Raises
    ------
    UserError
        If a column is missing.
    """
    for column in ("N", "D", "loss"):
        if column not in points:
            raise UserError(f"an envelope needs the column {column!r}")
    N, log_C, losses = _curves(points, cost)
    nothing = np.full((1 + resamples, 2), np.nan)
    if len(N) < LEAST_SIZES:
        reason = f"{len(N)} sizes have two or more D; an envelope needs {LEAST_SIZES}"
        return Envelope(pd.DataFrame(columns=["C", "N", "loss"]), 0, nothing, reason)
    all_points = np.ones((1, len(N)), bool)
    best = _least(losses, all_points)[0]
    inside = best >= 0
    table = pd.DataFrame(
        {
            "C": np.exp(log_C[inside]),
            "N": N[best[inside]],
            "loss": losses[best[inside], np.flatnonzero(inside)],
        }
    )
    on_it = table["N"].nunique()
    if on_it < LEAST_SIZES:
        reason = (
            f"{on_it} of the sizes between smallest and largest are best at some C; an "
            f"envelope needs {LEAST_SIZES}"
        )
        return Envelope(table, on_it, nothing, reason)
    rng = np.random.default_rng(seed)
    drawn = rng.multinomial(len(N), np.full(len(N), 1 / len(N)), size=resamples) > 0
    power = _line(np.log(N), log_C, _least(losses, np.vstack([all_points, drawn])))
    return Envelope(table, on_it, power, "")


def _curves(points: pd.DataFrame, cost: Cost) -> tuple[Array, Array, Array]:
    """Sizes (k,), values of log C (g,), and log-log interpolated losses (k, g), NaN outside."""
    order = np.argsort(points["N"].to_numpy(float))
    log_N = np.log(points["N"].to_numpy(float)[order])
    size = np.empty(len(points), int)
    size[order] = np.concatenate([[0], np.cumsum(np.diff(log_N) > _SAME_SIZE)])
    at = np.log(cost(points["N"].to_numpy(float), points["D"].to_numpy(float)))
    grid, sizes, losses = np.linspace(at.min(), at.max(), _GRID), [], []
    for k in range(size.max() + 1):
        of_size = size == k
        curve = (
            pd.Series(np.log(points["loss"].to_numpy(float)[of_size])).groupby(at[of_size]).mean()
        )
        if len(curve) < 2:
            continue
        sizes.append(float(np.exp(np.log(points["N"].to_numpy(float)[of_size]).mean())))
        log_losses = np.interp(grid, curve.index, curve, left=np.nan, right=np.nan)
        losses.append(np.exp(log_losses))
    return np.array(sizes), grid, np.array(losses).reshape(len(sizes), len(grid))


def _least(losses: Array, curve_mask: Array) -> Array:
    """Index of the best size at each C, shape (b, g); -1 where it is at an end, or unknown."""
    is_known = np.isfinite(losses) & curve_mask[:, :, None]
    finite_losses = np.where(is_known, losses, np.inf)
    best = finite_losses.argmin(axis=1)
    first = is_known.argmax(axis=1)
    last = losses.shape[0] - 1 - is_known[:, ::-1].argmax(axis=1)
    inside = (is_known.sum(axis=1) >= LEAST_SIZES) & (best > first) & (best < last)
    return np.where(inside, best, -1)


def _line(log_N: Array, log_C: Array, best: Array) -> Array:
    """Intercept and slope of log N of the best size in log C, shape (b, 2)."""
    weight = (best >= 0).astype(float)
    y = np.where(best >= 0, log_N[best], 0.0)
    total = weight.sum(1)
    with np.errstate(all="ignore"):
        x_mean, y_mean = weight @ log_C / total, y.sum(1) / total
        away = (log_C - x_mean[:, None]) * weight
        slope = (away * (y - y_mean[:, None])).sum(1) / (away**2).sum(1)
    sizes = np.array([len(np.unique(row[row >= 0])) for row in best])
    slope = np.where(sizes >= 2, slope, np.nan)
    return np.stack([y_mean - slope * x_mean, slope], axis=1)
