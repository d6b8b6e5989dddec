"""Scores of held-out predictions and their intervals, for all benchmarks.

Errors are of logarithms. Points that share a size, a corpus and a split (or a schedule) have
correlated errors, so coverage counts such groups and not points: a group counts by its share of
points inside, and the binomial interval is that of as many groups.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike
from scipy.stats import beta

Array = np.ndarray

LEVEL = 0.95
SEED_NOISE = 0.002  # of log loss, where a set has no repeats: the usual spread of seeds at 100M


@dataclass(frozen=True)
class Coverage:
    """Share of independent groups inside their intervals, with its binomial interval."""

    share: float
    groups: int
    low: float
    high: float
    level: float = LEVEL

    @property
    def fails(self) -> bool:
        """Whether the binomial interval lies below the level."""
        return self.high < self.level

    def __str__(self) -> str:
        return f"{self.share:.1%} of {self.groups} ({self.low:.0%} to {self.high:.0%})"


def coverage(inside: ArrayLike, group: ArrayLike, level: float = LEVEL) -> Coverage:
    """Coverage by group, from whether each point is inside its interval and its group's label."""
    shares = pd.Series(np.asarray(inside, float)).groupby(np.asarray(group)).mean()
    low, high = binomial_interval(float(shares.sum()), len(shares), level)
    share = float(shares.mean()) if len(shares) else float("nan")
    return Coverage(share, len(shares), low, high, level)


def binomial_interval(inside: float, groups: int, level: float = LEVEL) -> tuple[float, float]:
    """Exact interval of a share (Clopper and Pearson 1934); groups may count by a fraction."""
    tail = (1 - level) / 2
    low = float(beta.ppf(tail, inside, groups - inside + 1)) if inside > 0 else 0.0
    high = float(beta.ppf(1 - tail, inside + 1, groups - inside)) if inside < groups else 1.0
    return low, high


def interval_scores(
    measured: ArrayLike, lower: ArrayLike, upper: ArrayLike, level: float = LEVEL
) -> Array:
    """Width + 2 / (1 - level) times the miss of each point, in logarithms: less is better.

    Gneiting and Raftery 2007, section 6.2. Infinite where an end is no possible loss, NaN where
    there is no interval.
    """
    with np.errstate(invalid="ignore", divide="ignore"):
        at, low, high = (np.log(np.asarray(v, float)) for v in (measured, lower, upper))
        miss = np.maximum(low - at, 0) + np.maximum(at - high, 0)
        return high - low + 2 / (1 - level) * miss


def contained(measured: ArrayLike, lower: ArrayLike, upper: ArrayLike) -> Array:
    """1 where a measurement is inside its interval, 0 where not, NaN where there is none."""
    at, low, high = (np.asarray(v, float) for v in (measured, lower, upper))
    return np.where(np.isnan(low + high), np.nan, (low <= at) & (at <= high))


def log_errors(measured: ArrayLike, predicted: ArrayLike) -> Array:
    """log predicted - log measured; infinite where the prediction is no possible loss."""
    at, said = np.asarray(measured, float), np.asarray(predicted, float)
    possible = np.isfinite(said) & (said > 0)
    return np.where(possible, np.log(np.where(possible, said, 1.0)) - np.log(at), np.inf)


def rms_log_error(measured: ArrayLike, predicted: ArrayLike, noise: float = SEED_NOISE) -> float:
    """Root mean square of the log errors, no smaller than the noise of seeds."""
    return floored_rms(log_errors(measured, predicted), noise)


def floored_rms(errors: ArrayLike, noise: float = SEED_NOISE) -> float:
    """Root mean square of errors that are already logarithmic, no smaller than the noise."""
    return max(float(np.sqrt(np.mean(np.square(np.asarray(errors, float))))), noise)


def conformal_half_width(errors: ArrayLike, level: float = LEVEL) -> float:
    """Half the width of a split-conformal interval, from log errors of points held out before.

    The ceil((n + 1) level)-th smallest size (Vovk et al. 2005; Lei et al. 2018), or the largest
    where n is too small for the level: then the true one would be infinite.
    """
    sizes = np.sort(np.abs(np.asarray(errors, float)))
    if not len(sizes):
        return float("nan")
    rank = int(np.ceil((len(sizes) + 1) * level))
    return float(sizes[min(rank, len(sizes)) - 1])


def conformal_interval(
    predicted: ArrayLike, errors: ArrayLike, level: float = LEVEL
) -> tuple[Array, Array]:
    """Lower and upper ends around predictions, from log errors of points held out before."""
    said, half = np.asarray(predicted, float), conformal_half_width(errors, level)
    return said * np.exp(-half), said * np.exp(half)


def conformal_without_own_group(
    predicted: ArrayLike, errors: ArrayLike, group: ArrayLike, level: float = LEVEL
) -> tuple[Array, Array]:
    """Lower and upper ends of each point, from the held-out log errors of all other groups.

    The leave-one-group-out form: `errors` are those of the same points, each predicted without
    its group.
    """
    said, held, whose = np.asarray(predicted, float), np.asarray(errors, float), np.asarray(group)
    half = np.full(len(said), np.nan)
    for one in pd.unique(whose):
        half[whose == one] = conformal_half_width(held[whose != one], level)
    return said * np.exp(-half), said * np.exp(half)
