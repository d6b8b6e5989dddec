"""Intervals from draws some of which have no value: they hold wherever those lie, or are absent.

Parameters that a resample found may predict losses below zero far from the points; which do differs
from machine to machine, so here such draws are made by hand.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from scalinglab import analysis
from scalinglab.analysis.arms.scale import ratio_beyond
from scalinglab.analysis.decisions.reach_target import reach_target
from scalinglab.analysis.fitting.task_chain import task_chain
from scalinglab.analysis.intervals.spread import (
    interval_in_words,
    missing_draws_in_words,
    quantiles,
)
from scalinglab.analysis.laws.error_scale import ERROR_SCALES, RELATIVE

INSIDE, OUTSIDE = {"N": 1e8, "D": 1e10}, {"N": 1e12, "D": 1e12}
BUDGET = analysis.Target("loss", {"C": 1e20})


@pytest.fixture(scope="module")
def points(made_by) -> pd.DataFrame:
    return made_by("chinchilla", noise=0.003)[0]


@pytest.fixture(scope="module")
def fitted(points):
    return analysis.fit("chinchilla", points, resamples=200, starts=8)


def broken(fitted, count: int):
    """The fit with some resamples that predict negative losses everywhere."""
    draws = fitted.draws.copy()
    draws.loc[draws.index[:count], "A"] = -1e9
    return replace(fitted, draws=draws)


def test_the_ends_hold_wherever_draws_without_a_value_lie() -> None:
    drawn = np.random.default_rng(0).standard_normal((200, 3))
    drawn[:4, 1] = np.nan  # as many as one tail of 200 holds whole
    low, high = quantiles(drawn, 0.95)
    for away in (-1e9, 1e9, 0.0):
        wherever = np.quantile(np.where(np.isnan(drawn), away, drawn), (0.025, 0.975), axis=0)
        assert (low <= wherever[0]).all() and (wherever[1] <= high).all()
    assert np.array_equal(np.stack([low, high])[:, 0], np.quantile(drawn[:, 0], (0.025, 0.975)))
    drawn[4, 1] = np.nan
    low, high = quantiles(drawn, 0.95)
    assert np.isnan([low[1], high[1]]).all() and np.isfinite([low[2], high[2]]).all()


def test_an_infinite_draw_is_a_value() -> None:
    drawn = np.arange(200.0)
    drawn[-10:] = np.inf
    low, high = quantiles(drawn, 0.95)
    assert 4 <= low <= 5 and high == np.inf
    assert np.isnan(quantiles(np.empty((0, 2)), 0.95)).all()


def test_no_loss_is_zero_negative_or_infinite() -> None:
    values = np.array([-1.0, 0.0, 2.0, np.inf, np.nan])
    assert np.isfinite(RELATIVE.possible(values)).tolist() == [False, False, True, False, False]
    assert np.isnan(RELATIVE.of(values[0]))  # and no warning of numpy's
    absolute = ERROR_SCALES["absolute"].possible(values)
    assert np.isfinite(absolute).tolist() == [True, True, True, False, False]


def test_the_share_is_said_with_what_it_means() -> None:
    assert missing_draws_in_words(0.0, 0.95, "fail") == ""
    assert (
        missing_draws_in_words(0.004, 0.95, "fail")
        == "0.40% of the resamples fail: the interval allows for them"
    )
    assert (
        missing_draws_in_words(0.3, 0.95, "fail")
        == "30% of the resamples fail: there is no interval"
    )
    assert (
        interval_in_words(1.0, 2.0, ".1f") == " (1.0 to 2.0)"
        and interval_in_words(1.0, np.nan) == ""
    )


def test_a_prediction_has_an_honest_interval_or_none_and_the_share(fitted) -> None:
    place = pd.DataFrame([INSIDE])
    whole, few, many = (broken(fitted, k).predict(place, 0.95).iloc[0] for k in (0, 4, 20))
    assert few["lower"] < whole["lower"] < whole["upper"] < few["upper"]
    assert [row["impossible"] for row in (whole, few, many)] == [0, 0.02, 0.1]
    assert np.isnan([many["lower"], many["upper"]]).all() and many["loss"] == whole["loss"]


def test_a_refit_that_fails_beyond_the_range_leaves_no_interval_there(fitted) -> None:
    params = fitted.origins.params.copy()
    params[0, fitted.law.names.index("A")] = -1e9
    torn = replace(fitted, origins=replace(fitted.origins, params=params))
    table = torn.predict(pd.DataFrame([INSIDE, OUTSIDE]), 0.95)
    assert (
        np.isfinite(table["upper"]).tolist() == [True, False] and (table["impossible"] == 0).all()
    )


def test_a_decision_tells_the_share(fitted) -> None:
    split = analysis.allocate(broken(fitted, 20), 1e20)
    assert "10% of the resamples have no best split: there is no interval" in split.warnings
    assert split.table[["N_lower", "loss_upper"]].isna().all(axis=None)
    left = analysis.loss_left(broken(fitted, 20), pd.DataFrame([INSIDE])).iloc[0]
    assert np.isnan([left["loss_lower"], left["left_upper"]]).all() and left["left"] > 0


def test_a_target_without_an_interval_is_nothing_to_choose_by(fitted, points, monkeypatch) -> None:
    torn = broken(fitted, 20)
    assert np.isnan(BUDGET.estimate(torn)["half_width"])
    could = pd.DataFrame([{**OUTSIDE, "cost": 1.0}])
    with pytest.raises(ValueError, match="loss at C=1e.20 has no interval under this fit"):
        analysis.choose_next(torn, BUDGET, could)
    monkeypatch.setattr("scalinglab.analysis.decisions.reach_target.fit", lambda *a, **k: torn)
    found = reach_target(points, could, lambda chosen: points, replace(BUDGET, within=0.01))
    assert found.why.endswith("loss at C=1e+20 has no interval") and len(found.history) == 1


def test_held_out_points_without_an_interval_are_no_misses(fitted, points, monkeypatch) -> None:
    monkeypatch.setattr(
        "scalinglab.analysis.judgement.holdout.fit", lambda *a, **k: broken(fitted, 20)
    )
    found = analysis.hold_out("chinchilla", points)
    assert found.table["contained"].isna().all() and np.isnan(found.scores["coverage"])
    assert (
        "no interval can be given; 10% of the resamples predict an impossible loss"
        in found.report()
    )


def test_a_ratio_of_arms_without_a_possible_loss_has_no_interval(points) -> None:
    arms = pd.concat([points.assign(arm="a"), points.assign(arm="b", loss=points["loss"] * 0.98)])
    both = analysis.fit("chinchilla", arms, arm="arm", resamples=30, starts=4)
    draws = both.draws.copy()
    draws.loc[0, "A[b]"] = -1e9
    tries, best = ratio_beyond(replace(both, draws=draws), ("a", "b"), *np.array([[1e8], [1e10]]))
    assert np.isnan(tries).sum() == 1 and np.isfinite(best).all()


def test_a_chain_of_laws_hands_on_what_has_no_value(made_by, fitted) -> None:
    models = made_by("chinchilla")[0].rename(columns={"loss": "task_loss"})
    models["accuracy"] = 0.25 + 0.7 / (1 + np.exp(3 * (models["task_loss"] - 3)))
    chain = task_chain(models, resamples=50, starts=4)
    torn = replace(chain, loss=broken(chain.loss, 10))
    table = torn.predict(pd.DataFrame([INSIDE]), 0.95)
    assert table[["lower", "upper", "task_loss_lower"]].isna().all(axis=None)
