"""Residuals far from the others, and the size of the others."""

from __future__ import annotations

import numpy as np

from scalinglab.analysis.laws.error_scale import ErrorScale
from scalinglab.analysis.laws.law import Array
from scalinglab.analysis.tables.far_repeats import LEAST, SIGMAS

# Losses scatter with heavier tails than a normal's: Student's t of so many degrees of freedom. The
# known outliers of published tables (Hoffmann et al.'s) lie at 13 to 45 robust sigmas.
_TAIL = 4.0
_CHANCE = 0.05  # points beyond, expected of a table in which nothing is wrong
_FLOOR = 1e-3  # the least spread of residuals that is taken for noise of a measurement
_MOST = 0.2  # share of the points: if more lie far away, the law is wrong, not they
_SPARE = 4  # degrees of freedom below which the residuals tell nothing of each other


def outlying(residuals: Array, free: int) -> Array:
    """Distance of each residual from their median in robust standard deviations; 0 if it is small.

    The spread is that of the residuals which no parameter made small: a robust fit of k parameters
    goes through k points. Noise that is known from elsewhere does not widen it, as the residuals
    have that noise, too: known from two runs one of which is wrong, it would hide that run.

    Parameters
    ----------
    residuals : array, shape (n,)
        On the scale of the fit: of logarithms, or absolute.
    free : int
        Free parameters.

    Returns
    -------
    array, shape (n,)
        0 for what is no outlier, and for all where too many would be, or there are too few points.
    """
    away = residuals - np.median(residuals)
    if len(away) - free < _SPARE:
        return np.zeros(len(away))
    left = np.sort(np.abs(away))[free:]
    spread = max(1.4826 * float(np.median(left)), _FLOOR)
    sigmas = np.abs(away) / spread
    sigmas[(sigmas < _reach(len(away))) | (np.abs(away) < LEAST)] = 0.0
    return sigmas if 0 < np.count_nonzero(sigmas) <= _MOST * len(away) else np.zeros(len(away))


def _reach(count: int) -> float:
    """How far, in robust standard deviations, the farthest of so many sound points may lie."""
    from scipy.special import stdtrit  # takes .2 s to load

    robust = 1.4826 * stdtrit(_TAIL, 0.75)  # of a t, whose quartile is half of all its |t|
    return max(SIGMAS, float(-stdtrit(_TAIL, _CHANCE / (2 * count)) / robust))


def size_in_words(residuals: Array, free: int, scale: ErrorScale, of: str = "") -> str:
    """The root mean square of residuals; without those far from the law, and with them, if any are.

    One run that diverged would else make a law that fits all others to 0.4% look like one that
    misses by 13%.

    Examples
    --------
    >>> from scalinglab.analysis.laws.error_scale import RELATIVE
    >>> residuals = 0.01 * np.resize([1, -1], 20)
    >>> size_in_words(residuals, 2, RELATIVE, " of the loss")
    '1.00% of the loss (root mean square)'
    >>> size_in_words(np.append(residuals, 1.0), 2, RELATIVE, " of the loss")
    '1.00% of the loss (root mean square; 21.84% with 1 point far from the law)'
    """
    is_far = outlying(residuals, free) > 0
    size, count = scale.say(_rms(residuals[~is_far])), int(is_far.sum())
    far = f"; {scale.say(_rms(residuals))} with {count} point{'s' * (count > 1)} far from the law"
    return f"{size}{of} (root mean square{far * (count > 0)})"


def _rms(values: Array) -> float:
    return float(np.sqrt(np.mean(values**2)))
