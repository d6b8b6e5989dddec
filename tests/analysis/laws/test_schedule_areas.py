import itertools

import numpy as np
import pandas as pd
import pytest

from scalinglab.analysis.laws.schedule_areas import (
    drop_momentum,
    felt_drop,
    highest_rates,
    lr_area,
    runs_that_rewarm,
    warmup_end,
    whole_runs,
    without_final_zero,
    without_warmup,
)


def _by_recurrence(lr, decay):
    """m_i and the sum of m, one step after the other, as arXiv:2408.11029 writes them."""
    momentum, area = [0.0], [0.0]
    for before, now in itertools.pairwise(lr):
        momentum.append(decay * momentum[-1] + before - now)
        area.append(area[-1] + momentum[-1])
    return np.array(momentum), np.array(area)


def test_doubling_agrees_with_the_recurrence():
    lr = np.abs(np.random.default_rng(0).standard_normal(777)).cumsum()[::-1]
    decays = np.array([0.5, 0.9, 0.99, 0.99999])
    both = zip(decays, drop_momentum(lr, decays), felt_drop(lr, decays), strict=True)
    for decay, fast, felt in both:
        momentum, area = _by_recurrence(lr, decay)
        np.testing.assert_allclose(fast, momentum, rtol=1e-10, atol=1e-12)
        np.testing.assert_allclose(felt, (1 - decay) * area, rtol=1e-7, atol=1e-9)


def test_warmup_is_what_rises_before_anything_else():
    assert warmup_end(np.array([0, 0, 1, 2, 3, 3, 2])) == 4
    assert warmup_end(np.array([3, 3, 2])) == 0
    assert warmup_end(np.array([1, 2, 3])) == 2
    np.testing.assert_array_equal(without_warmup(np.array([0.0, 1, 3, 2])), [3, 3, 3, 2])


def _run(**columns):
    return pd.DataFrame({"run": "a", "step": [0, 1, 2], "lr": [1.0, 1.0, 0.5], **columns})


@pytest.mark.parametrize(
    ("frame", "sentence"),
    [
        (_run(step=[0, 1, 3]), "'a' jumps from step 1 to 3"),
        (_run(step=[0, 1, 1]), "'a' has step 1 more than once"),
        (_run(step=[7, 8, 9]), "'a' begins at step 7.*parent run"),
        (_run(lr=[1.0, np.nan, 1.0]), "'lr' must hold numbers >= 0"),
    ],
)
def test_a_schedule_with_holes_is_refused(frame, sentence):
    with pytest.raises(ValueError, match=sentence):
        list(whole_runs(frame))


def test_rows_may_come_in_any_order():
    frame = _run().iloc[[2, 0, 1]].reset_index(drop=True)
    [(at, step, lr)] = whole_runs(frame)
    np.testing.assert_array_equal(at, [1, 2, 0])
    np.testing.assert_array_equal(step, [0, 1, 2])
    np.testing.assert_array_equal(lr, [1.0, 1.0, 0.5])


def test_rows_left_out_of_straight_stretches_change_nothing():
    lr = np.concatenate([np.linspace(0, 1, 40), np.ones(100), np.linspace(1, 0.1, 200)])
    step = np.arange(len(lr))
    rows = np.sort(np.concatenate([[0, 39, 139, 140, 339], [20, 77, 150, 151, 290]]))
    decays = np.array([0.5, 0.99, 0.99999])
    whole, thin = felt_drop(lr, decays)[:, rows], felt_drop(lr[rows], decays, step[rows])
    np.testing.assert_allclose(thin, whole, rtol=1e-9, atol=1e-12)
    np.testing.assert_allclose(lr_area(lr[rows], step[rows]), np.cumsum(lr)[rows], rtol=1e-12)


def test_a_zero_that_ends_a_constant_rate_is_no_drop():
    constant = pd.DataFrame({"run": "a", "step": range(5), "lr": [1.0, 1, 1, 1, 0]})
    assert [lr.tolist() for _, _, lr in whole_runs(constant)] == [[1, 1, 1, 1, 1]]
    cooldown = np.array([1, 1, 0.75, 0.5, 0.25, 0])
    for lr in (cooldown, np.array([1, 0.6, 0])):  # the second is the same, logged more seldom
        assert without_final_zero(np.arange(len(lr)), lr) is lr
    corners = pd.DataFrame({"run": "a", "step": [0, 50, 100], "lr": [1.0, 1, 0], "thinned": True})
    assert [lr.tolist() for _, _, lr in whole_runs(corners)] == [[1, 1, 0]]  # a straight cooldown


def test_several_peaks_are_told_by_run():
    def run(name, *lr):
        return pd.DataFrame({"run": name, "step": range(len(lr)), "lr": lr})

    runs = [run("a", 0, 0.5, 1, 0.5, 0.1), run("b", 0, 1, 0.2, 0.8, 0.1), run("c", 0, 3, 1)]
    table = pd.concat(runs, ignore_index=True)
    assert highest_rates(table) == (1, 3)
    assert runs_that_rewarm(table) == ["b"]
