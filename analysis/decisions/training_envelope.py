"""Approach 1: where, as compute grows, a larger size takes over from a smaller one.

A report and `compare_approaches` take the final losses of all runs of one size, interpolated in C
between the runs; training curves only where they are given. Each point must be as good as its
length allows (arXiv:2203.15556 trains each size on several cosines): points in the middle of a
schedule are too high.

arXiv:2203.15556 puts a line through the best size at each of 1,500 values of C. Few sizes make
that a stair, whose first and last step are cut where the runs end, which moves the line: it put N*
1.5 times too high for five sizes of one known surface. The ends of the steps are free from that.
There two sizes reach one loss, and the best size lies between them: at their geometric mean, as far
as the loss is symmetric in log N (of arXiv:2203.15556's law it is within 1 % for sizes ten times
apart). So the line is fitted to the C at which the larger sizes take over. These are what noise in
the losses moves, the sizes were chosen: errors are those of log C.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy.interpolate import PchipInterpolator
from scipy.stats import t as student_t

from scalinglab.analysis.decisions.cost_functions import SIX_ND, Cost
from scalinglab.analysis.shown import Overview, Shown
from scalinglab.scaling.errors import UserError

Array = np.ndarray

_GRID = 600  # values of log C
_SAME_SIZE = 0.02  # gap in log N between two sizes
_APART = 1.5  # least ratio of the N of two takeovers: nearer ones share the noise of their runs
_STEEPEST = 10.0  # exponent of N* in C that a draw may have
LEAST_TAKEOVERS = 3  # a line through two has no errors


@dataclass(frozen=True, repr=False)
class Envelope(Shown):
    """The C at which larger sizes take over.

    Attributes
    ----------
    table : DataFrame
        One row per takeover: ``C``, ``N`` between the two sizes (their geometric mean), ``loss``.
    sizes : int
        Different sizes that were measured at two or more C.
    power : array, shape (1 + resamples, 2)
        Intercept and slope of log N in log C: the best, then others that could have been; NaN where
        there is none.
    refused : str
        Why there is none; empty where there is.
    """

    table: pd.DataFrame
    sizes: int
    power: Array
    refused: str

    @property
    def shown(self) -> Overview:
        """As `Shown`: where larger sizes take over, and how N* grows."""
        grows = () if self.refused else (f"N* grows as C^{self.power[0, 1]:.2f}.",)
        title = f"Envelope of {self.sizes} sizes: C at which a larger one takes over"
        return Overview(title, {"": self.table}, grows, (self.refused,) if self.refused else ())


@dataclass(frozen=True)
class _Stair:
    """Losses of sizes along compute.

    Attributes
    ----------
    log_N : array, shape (sizes,)
        Increasing.
    log_C : array, shape (values,)
        At equal distances.
    losses : array, shape (sizes, values)
        log of the losses, NaN where a size has no runs on both sides.
    """

    log_N: Array
    log_C: Array
    losses: Array


def envelope(
    points: pd.DataFrame, *, cost: Cost = SIX_ND, resamples: int = 1000, seed: int = 0
) -> Envelope:
    """Find the C at which larger sizes take over, and the power law of N* through them.

    Parameters
    ----------
    points : DataFrame
        ``N, D, loss``: each size at several D, rows of whole curves or the ends of several runs.
    cost : callable
        As in `analysis.allocate`.
    resamples : int
        How many lines are drawn from the errors of this one (a t distribution), for the intervals;
        0 for none.
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
    stair = _stair(points, cost)
    found = _takeovers(stair)
    table = pd.DataFrame(
        {"C": np.exp(found[:, 0]), "N": np.exp(found[:, 1]), "loss": np.exp(found[:, 2])}
    )
    sizes = len(stair.log_N)
    if len(found) >= LEAST_TAKEOVERS:
        power = _lines(found[:, 0], found[:, 1], resamples, seed)
        if np.isfinite(power[0, 1]):
            return Envelope(table, sizes, power, "")
        reason = (
            f"the C at which {len(found)} sizes take over from smaller ones scatter too much to say"
            " whether they grow with the size"
        )
    else:
        reason = (
            f"an envelope needs {LEAST_TAKEOVERS} sizes that take over from a smaller one, at a C"
            f" that both have measured; of {sizes} with two or more D {len(found)}"
            f" {'does' if len(found) == 1 else 'do'}"
        )
    return Envelope(table, sizes, np.full((1 + resamples, 2), np.nan), reason)


def _stair(points: pd.DataFrame, cost: Cost) -> _Stair:
    """Interpolate the log losses of each size, by pieces that keep their falling and bending."""
    N, D, loss = (points[name].to_numpy(float) for name in ("N", "D", "loss"))
    order = np.argsort(N)
    size = np.empty(len(points), int)
    size[order] = np.concatenate([[0], np.cumsum(np.diff(np.log(N[order])) > _SAME_SIZE)])
    at = np.log(cost(N, D))
    log_C, sizes, losses = np.linspace(at.min(), at.max(), _GRID), [], []
    for k in range(size.max() + 1):
        of_size = size == k
        curve = pd.Series(np.log(loss[of_size])).groupby(at[of_size]).mean()
        if len(curve) < 2:
            continue
        sizes.append(float(np.log(N[of_size]).mean()))
        losses.append(PchipInterpolator(curve.index, curve, extrapolate=False)(log_C))
    return _Stair(np.array(sizes), log_C, np.array(losses).reshape(len(sizes), _GRID))


def _takeovers(stair: _Stair) -> Array:
    """log C, log N and log loss at which the larger sizes take over, shape (takeovers, 3).

    Where noise lets the smaller and the larger ones take turns, it is at the C that has as many
    values of the smaller ones above it as of the larger ones below it.
    """
    known = np.isfinite(stair.losses)
    losses = np.where(known, stair.losses, np.inf)
    rows: list[tuple[float, ...]] = []
    for k in range(len(stair.log_N) - 1):
        both = np.flatnonzero(known[k] & known[k + 1])
        log_N = stair.log_N[k : k + 2].mean()
        if len(both) < 2 or (rows and log_N < rows[-1][1] + np.log(_APART)):
            continue
        smaller = losses[: k + 1, both].min(axis=0)
        is_smaller = smaller < losses[k + 1 :, both].min(axis=0)
        if is_smaller[0] and not is_smaller[-1]:
            last = both[is_smaller.sum() - 1]
            log_C = stair.log_C[last : last + 2].mean()
            loss = losses[:, last].min()
            rows.append((log_C, log_N, loss, stair.log_C[both[0]], stair.log_C[both[-1]]))
    found = np.array(rows).reshape(-1, 5)
    log_C, log_N, _, low, high = found.T
    return found[_is_clear_of_ends(log_C, log_N, low, high), :3]


def _is_clear_of_ends(log_C: Array, log_N: Array, low: Array, high: Array) -> Array:
    """Which takeovers the line expects a deviation or more inside what both sizes have measured.

    Near an end only those are seen that noise has moved inwards. Where fewer would be left than a
    line needs, all stay.
    """
    kept = np.ones(len(log_C), bool)
    for _ in range(len(log_C)):
        if kept.sum() < LEAST_TAKEOVERS:
            return np.ones(len(log_C), bool)
        slope, start = np.polyfit(log_N[kept], log_C[kept], 1)
        expected = start + slope * log_N
        freedom = kept.sum() - 2
        deviation = np.sqrt(((log_C - expected)[kept] ** 2).sum() / freedom)
        clear = (expected - deviation > low) & (expected + deviation < high)
        if (clear == kept).all():
            break
        kept = clear
    return kept


def _lines(log_C: Array, log_N: Array, resamples: int, seed: int) -> Array:
    """Intercept and slope of log N in log C: the best, and draws, shape (1 + resamples, 2).

    The line is that of least squares in log C; draws are of its coefficients' t distribution. NaN,
    the best too, where the slope's 95 % interval reaches zero; and those draws that do.
    """
    freedom = len(log_C) - 2
    N_mean, C_mean = log_N.mean(), log_C.mean()
    away = log_N - N_mean
    slope = away @ (log_C - C_mean) / (away @ away)
    left = log_C - C_mean - slope * away
    rng = np.random.default_rng(seed)
    deviation = np.sqrt(left @ left / rng.chisquare(freedom, resamples))
    errors = rng.standard_normal((2, resamples)) * deviation
    slopes = np.concatenate([[slope], slope + errors[0] / np.sqrt(away @ away)])
    means = np.concatenate([[C_mean], C_mean + errors[1] / np.sqrt(len(log_C))])
    error = np.sqrt(left @ left / freedom / (away @ away))
    if slope <= student_t.ppf(0.975, freedom) * error:
        return np.full((1 + resamples, 2), np.nan)
    grows = np.where(slopes > 1 / _STEEPEST, slopes, np.nan)
    return np.stack([N_mean - means / grows, 1 / grows], axis=1)
