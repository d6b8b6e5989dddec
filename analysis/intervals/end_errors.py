"""How far the ends of an interval are off because the resamples are so many and no more."""

from __future__ import annotations

import numpy as np
from scipy.special import betainc

Array = np.ndarray

_OFTEN = 0.025  # share of the bootstraps whose end is infinite, from which its error is


def log_end_errors(drawn: Array, level: float) -> tuple[float, float]:
    """Standard errors of the logarithms of both ends of an interval from draws above zero.

    The standard deviation of a quantile over bootstraps of the draws, in closed form: each ordered
    draw is the quantile of a bootstrap with the probability that a beta distribution has on its
    step (Maritz and Jarrett 1978, Journal of the American Statistical Association 73).

    Parameters
    ----------
    drawn : array, shape (draws,)
        NaN are passed over.
    level : float
        Level of the interval.

    Returns
    -------
    (float, float)
        Of the lower and the upper end; infinite where other draws could well have put the end at an
        infinite one, 0 without a finite draw.
    """
    drawn = np.sort(drawn[drawn > 0])
    finite = drawn[np.isfinite(drawn)]
    if not len(finite):
        return 0.0, 0.0
    logs, count = np.log(np.minimum(drawn, finite[-1])), len(drawn)
    steps = np.arange(count + 1) / count
    tail = (1 - level) / 2
    errors = []
    for place in (tail, 1 - tail):
        weights = np.diff(betainc((count + 1) * place, (count + 1) * (1 - place), steps))
        if weights[np.isinf(drawn)].sum() > _OFTEN:
            errors.append(np.inf)
            continue
        middle = weights @ logs
        errors.append(float(np.sqrt(weights @ (logs - middle) ** 2)))
    return errors[0], errors[1]
