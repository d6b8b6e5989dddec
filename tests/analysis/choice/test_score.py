import numpy as np
import pytest

from scalinglab.analysis.choice.score import (
    FLOOR,
    MARGIN,
    HeldOut,
    leads,
    log_densities,
    stacked,
    trend,
    win_share,
)


def _held(*errors, origins=6):
    """The error of each candidate at a distance, from several origins."""
    distance = np.tile(np.linspace(0.3, 2.4, 8), origins)
    origin = np.repeat(np.arange(origins), 8)
    luck = np.random.default_rng(0).standard_normal(len(distance))
    error = np.array([e(distance, luck) for e in errors])
    return HeldOut(error, origin, np.tile(np.arange(8), origins), distance, origin * 0.3)


def test_a_bias_that_passes_through_zero_is_a_bias():
    held = _held(lambda d, luck: 0.004 * luck, lambda d, luck: 0.02 * (d - 0.7) + 1e-4 * luck)
    weights = held.weights()
    near = trend(held, weights)
    assert abs(near.value[1]) < 0.002  # measured where it passes through zero
    far = trend(held, weights, np.log(8))
    np.testing.assert_allclose(far.value[1], 0.02 * (np.log(8) - 0.7), rtol=0.05)
    assert far.standard_error[1] < 0.1 * far.value[1]
    score = log_densities(held, weights, np.log(8)) @ weights
    assert score[1] < score[0]


def test_shares_go_to_what_predicts_and_none_of_the_near_is_below_the_floor():
    held = _held(
        lambda d, luck: 0.003 * luck,
        lambda d, luck: 0.009 * luck,
        lambda d, luck: np.full_like(d, 1.0),
        lambda d, luck: np.full_like(d, np.inf),
    )
    weights = held.weights()
    score = log_densities(held, weights) @ weights
    assert score[1] > score[0] - MARGIN > score[2] > score[3]
    shares = stacked(log_densities(held, weights), weights)
    assert shares.sum() == pytest.approx(1)
    assert shares[0] > 0.8 and shares[1] >= FLOOR / (1 + FLOOR) - 1e-12
    assert (shares[2:] == 0).all()  # a tenth of what predicts anything spoils a mean


def test_laws_that_are_right_at_different_points_share():
    odd = np.arange(48) % 2
    held = _held(
        lambda d, luck: 0.002 * luck + 0.03 * odd, lambda d, luck: 0.002 * luck + 0.03 * (1 - odd)
    )
    weights = held.weights()
    shares = stacked(log_densities(held, weights), weights)
    assert shares.min() > 0.3


def test_a_lead_is_told_by_clusters_not_by_points():
    even, turning = np.array([1.0, 0.8, 0.6, 0.5]), np.array([1.0, -0.8, 0.6, -0.5])
    assert win_share(even) == 1
    assert 0.2 < win_share(turning) < 0.9
    assert win_share(np.repeat(turning, 100) / 100) > 0.9  # as if each point were independent
    assert win_share(even[:2]) == 0.5


def test_a_lead_that_other_fits_do_not_have_is_not_told():
    """A little ahead in every cluster, and in refits now one law, now the other."""
    scores = np.array([[1.0, 1.0, 1.0], [0.9, 0.9, 0.9], [0.0, 0.1, 0.0]])
    luck = 0.2 * np.random.default_rng(2).standard_normal((200, 3, 1))
    behind = leads(scores, scores + luck)
    assert np.isnan(behind[0]) and behind[2] == 1
    assert 0.5 < behind[1] < 0.8 and leads(scores)[1] == 1
