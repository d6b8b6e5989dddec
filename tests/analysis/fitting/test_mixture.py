import numpy as np
import pandas as pd
import pytest

from scalinglab import analysis
from scalinglab.analysis.choice.score import MARGIN
from scalinglab.scaling.errors import UserError


def _sweep(noise=0.002, seed=0, smallest=1.0):
    """Eight budgets of six sizes; the loss of the smaller ones `smallest` times as high."""
    budget, ratio = np.meshgrid(np.geomspace(1e17, 3e20, 8), np.geomspace(3, 200, 6))
    N = np.sqrt(budget / 6 / ratio)
    runs = pd.DataFrame({"C": budget.ravel(), "N": N.ravel(), "D": (ratio * N).ravel()})
    runs["loss"] = 1.7 + 400 / runs.N**0.34 + 1800 / runs.D**0.37
    runs["loss"] *= np.where(runs.C < 5e18, smallest, 1)
    runs["loss"] *= np.exp(noise * np.random.default_rng(seed).standard_normal(len(runs)))
    return runs.sort_values("C", kind="stable").reset_index(drop=True)


RUNS = _sweep()


@pytest.fixture(scope="module")
def mixed():
    return analysis.fit("auto", RUNS[RUNS.C < 1e20], resamples=100)


def test_the_mixture_predicts_budgets_that_it_has_not_seen(mixed):
    ahead = RUNS[RUNS.C > 1e20]
    found = mixed.predict(ahead, level=0.95)
    assert np.sqrt(np.mean(np.log(found.loss / ahead.loss) ** 2)) < 0.01
    assert ahead.loss.between(found.lower, found.upper).mean() > 0.9
    assert mixed.laws.share.sum() == pytest.approx(1)
    far = mixed.laws.score < mixed.laws.score.max() - MARGIN
    assert far.any() and (mixed.laws.share[far] == 0).all() and mixed.laws.share[~far].min() > 0.02
    assert mixed.laws.loc[["chinchilla", "skaling", "farseer"], "share"].sum() > 0.5


def test_each_resample_is_one_law_as_often_as_its_share_says(mixed):
    shares = mixed.draws[[f"share[{law.name}]" for law in mixed.law.laws]]
    assert set(np.unique(shares)) == {0, 1}
    assert (shares.sum(axis=1) == 1).all()
    told = [mixed.params[name] for name in shares]
    np.testing.assert_allclose(shares.mean(), told, atol=1 / 100 + 1e-9)


def test_budgets_are_split_under_a_mixture(mixed):
    asked = analysis.allocate(mixed, [1e21])
    one = analysis.allocate(analysis.fit("chinchilla", RUNS, resamples=0), [1e21])
    assert abs(np.log(asked.table.N[0] / one.table.N[0])) < 0.5
    assert asked.table.loss[0] == pytest.approx(one.table.loss[0], rel=0.02)


def test_a_wild_row_is_in_no_score_of_the_laws_and_is_told(mixed):
    runs = RUNS[RUNS.C < 1e20]
    wild = runs.assign(loss=runs.loss * np.where(runs.index == runs.index[-2], 4, 1))
    result = analysis.fit("auto", wild, resamples=0)
    np.testing.assert_allclose(
        result.laws.error["chinchilla"], mixed.laws.error["chinchilla"], rtol=0.3
    )
    assert (result.not_scored, mixed.not_scored) == (1, 0)
    assert "1 far from every law not counted" in result.report()


def test_small_runs_that_follow_another_law_are_left_out():
    result = analysis.fit("auto", _sweep(smallest=1.1), resamples=0)
    assert result.laws.window[result.laws.share.idxmax()] >= 0.3
    assert result.ranges["N"][0] > RUNS.N.min()  # what they measured is not the mixture's range


def test_a_mixture_is_stored(mixed, tmp_path):
    mixed.save(tmp_path / "fit.json")
    again = analysis.read_fit(tmp_path / "fit.json")
    pd.testing.assert_frame_equal(again.laws, mixed.laws)
    pd.testing.assert_frame_equal(again.predict(RUNS, 0.9), mixed.predict(RUNS, 0.9))
    assert again.report() == mixed.report()


def test_what_is_of_one_law_is_refused():
    with pytest.raises(UserError, match="fixed is of one law"):
        analysis.fit("auto", RUNS, fixed={"E": 1.7})
    with pytest.raises(UserError, match="resample is of one law"):
        analysis.fit("auto", RUNS, resample="rows")


def test_without_budgets_to_leave_out_all_laws_have_one_share():
    few = RUNS[RUNS.C > 1e20]
    result = analysis.fit("auto", few, resamples=0)
    assert result.laws.share.nunique() == 1
    assert "too few budgets" in result.report()


def test_the_farther_question_counts_the_farther_origins(mixed):
    far = analysis.fit("auto", RUNS[RUNS.C < 1e20], resamples=0, beyond=30)
    assert not np.allclose(mixed.laws.share.sort_index(), far.laws.share.sort_index())
