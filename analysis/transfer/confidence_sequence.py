"""Intervals that hold at every look at once, for a mean or a contrast with unknown variance.

A t interval holds at one look that was fixed beforehand; with a look after every run and optional
stopping, errors are far more frequent. The t statistic with a normal mixture over the effect is a
test martingale whose value exceeds 1/(1 - level) at any time with probability 1 - level at most
(Ville): Lai, "On confidence sequences", 1976; Wang and Ramdas, arXiv:2310.03722; for coefficients
of a linear model with nuisance parameters Lindon et al., arXiv:2210.08589. With information n (the
variance of one observation over that of the estimate) and a prior variance g of the effect (in
variances of one observation) its value is

    (1 + g n)^(-1/2) * ((1 + t^2 / v) / (1 + t^2 / (v (1 + g n))))^((v + 1) / 2),

v the degrees of freedom. No boundary is tightest at every n: the mean over several g is a
martingale, too, and near the best over all that studies are long.
"""

from __future__ import annotations

import math

_PRIORS = (64.0, 4.0, 0.25, 0.015)  # g times the information of the first look
_LARGEST = 1e3  # standard errors; beyond it there is no interval
_PRECISION = 1e-6
_OVERFLOW = 700.0  # of the exponential function


def anytime_quantile(looks: float, freedom: float, level: float) -> float:
    """Standard errors to each side of an estimate, in place of Student's quantile.

    Parameters
    ----------
    looks : float
        Information so far over that of the first look.
    freedom : float
        Degrees of freedom of the estimated variance.
    level : float
        Probability that the interval holds at all looks.

    Returns
    -------
    float
        Infinite where the data are too few for any interval.

    Examples
    --------
    >>> round(anytime_quantile(10, 40, 0.95), 2) > 2.02  # Student's at one look
    True
    >>> anytime_quantile(1, 1, 0.95)
    inf
    """
    if freedom < 1:
        return math.inf
    gains = [1 + g * looks for g in _PRIORS]
    threshold = len(_PRIORS) / (1 - level)
    power = (freedom + 1) / 2

    def reached(t: float) -> bool:
        square = t * t / freedom
        logs = (
            power * (math.log1p(square) - math.log1p(square / gain)) - math.log(gain) / 2
            for gain in gains
        )
        return sum(math.exp(min(log, _OVERFLOW)) for log in logs) >= threshold

    low, high = 0.0, _LARGEST
    if not reached(high):
        return math.inf
    while high - low > _PRECISION * high:
        middle = (low + high) / 2
        low, high = (low, middle) if reached(middle) else (middle, high)
    return high
