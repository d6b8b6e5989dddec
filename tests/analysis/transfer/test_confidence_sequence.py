"""Intervals that hold at every look at once."""

from __future__ import annotations

import numpy as np
from scipy.special import stdtrit

from scalinglab.analysis.transfer.confidence_sequence import anytime_quantile

LOOKS = 200


def test_looking_after_every_observation_is_wrong_as_seldom_as_promised() -> None:
    """A t interval, looked at as often, excludes the truth in nearly half of the studies."""
    values = np.random.default_rng(0).normal(size=(400, LOOKS))
    n = np.arange(1, LOOKS + 1)
    mean = np.cumsum(values, axis=1) / n
    spread = np.cumsum(values**2, axis=1) - n * mean**2
    wrong, naive = np.zeros(400, bool), np.zeros(400, bool)
    for k in range(2, LOOKS + 1):
        t = np.abs(mean[:, k - 1]) / np.sqrt(spread[:, k - 1] / (k - 1) / k)
        wrong |= t > anytime_quantile(k / 2, k - 1, 0.95)
        naive |= t > float(stdtrit(k - 1, 0.975))
    assert wrong.mean() < 0.08  # 5 % at most; .022 is two standard errors
    assert naive.mean() > 0.25


def test_it_costs_less_than_twice_the_width_and_needs_more_with_less() -> None:
    wide = anytime_quantile(10, 40, 0.95)
    assert float(stdtrit(40, 0.975)) < wide < 2 * float(stdtrit(40, 0.975))
    assert anytime_quantile(10, 40, 0.99) > wide
    assert anytime_quantile(10, 4, 0.95) > wide
    assert np.isinf(anytime_quantile(1, 0, 0.95))
