"""How the benchmarks score intervals and errors."""

from __future__ import annotations

import numpy as np
import pytest

from benchmarks.scoring import (
    binomial_interval,
    conformal_half_width,
    conformal_without_own_group,
    contained,
    coverage,
    interval_scores,
    rms_log_error,
)


def test_binomial_interval_is_clopper_and_pearsons() -> None:
    """Their tables: 8 of 10 lie between .444 and .975; all of 10 above .025 ** (1 / 10)."""
    assert binomial_interval(8, 10) == pytest.approx((0.4439, 0.9748), abs=1e-4)
    assert binomial_interval(10, 10) == pytest.approx((0.025**0.1, 1.0))
    assert binomial_interval(0, 10) == pytest.approx((0.0, 1 - 0.025**0.1))


def test_coverage_counts_groups_and_fails_only_below_its_chance() -> None:
    """A hundred points of one group are one observation."""
    group = np.repeat(["a", "b", "c"], [100, 1, 1])
    seen = coverage(np.r_[np.zeros(100), 1, 1], group)
    assert (seen.share, seen.groups) == (pytest.approx(2 / 3), 3)
    assert not seen.fails
    alone = np.arange(100)
    assert coverage(alone < 80, alone).fails
    assert not coverage(alone < 93, alone).fails
    assert not coverage(np.ones(100), alone).fails


def test_interval_score_is_least_at_the_quantiles() -> None:
    """Neither wider nor narrower intervals score better than the true ones (a proper score)."""
    rng = np.random.default_rng(0)
    measured = 3 * np.exp(0.01 * rng.standard_normal(20_000))
    mean = {
        z: interval_scores(measured, 3 * np.exp(-0.01 * z), 3 * np.exp(0.01 * z)).mean()
        for z in (1.2, 1.6, 1.96, 2.4, 3.0)
    }
    assert min(mean, key=mean.__getitem__) == 1.96


def test_what_has_no_interval_is_neither_inside_nor_outside() -> None:
    inside = contained([2.0, 2.0, 2.0], [1.9, 2.1, np.nan], [2.1, 2.2, np.nan])
    assert inside[:2].tolist() == [1, 0]
    assert np.isnan(inside[2])


def test_errors_are_floored_at_noise_and_the_impossible_is_infinite() -> None:
    assert rms_log_error([2.0, 2.0], [2.0, 2.0], noise=0.003) == 0.003
    assert rms_log_error([2.0, 2.0], [2.0 * np.e, 2.0 / np.e]) == pytest.approx(1.0)
    assert rms_log_error([2.0, 2.0], [2.0, -1.0]) == np.inf


def test_conformal_width_holds_the_level_and_spares_the_own_group() -> None:
    """Of exchangeable errors 95 % of new ones are within; a group's own errors do not count."""
    rng = np.random.default_rng(1)
    held = [
        np.abs(rng.standard_normal(1000)) <= conformal_half_width(rng.standard_normal(39))
        for _ in range(200)
    ]
    assert np.mean(held) == pytest.approx(0.95, abs=0.02)
    low, high = conformal_without_own_group([1.0, 1.0, 1.0], [0.5, 0.1, 0.2], ["a", "b", "c"])
    assert np.log(high) == pytest.approx([0.2, 0.5, 0.5])
    assert low * high == pytest.approx([1.0, 1.0, 1.0])
