import numpy as np
import pandas as pd
import pytest

from scalinglab import analysis
from scalinglab.analysis.decisions.cost_functions import SIX_ND, CostFunction
from scalinglab.analysis.decisions.off_optimum import outside_in_words

NUMERICAL = CostFunction("6 N D", "FLOPs", lambda N, D: 6 * N * D)  # not the closed form


@pytest.fixture(scope="module")
def fitted(made_by):
    return analysis.fit("chinchilla", made_by("chinchilla", noise=0.003)[0], resamples=100)


@pytest.mark.parametrize("cost", [SIX_ND, NUMERICAL])
def test_the_cheapest_way_to_a_loss_is_the_best_split_of_its_budget(fitted, cost):
    best = analysis.allocate(fitted, 1e20).table.iloc[0]
    row = analysis.cheapest(fitted, best.loss, cost=cost).iloc[0]
    assert row.C == pytest.approx(1e20, rel=1e-4)
    assert row.N == pytest.approx(best.N, rel=1e-3) and row.reached == 1
    assert row.C_lower < row.C < row.C_upper


def test_the_best_split_leaves_nothing_and_others_leave_what_the_law_says(fitted):
    best = analysis.allocate(fitted, 1e20).table.iloc[0]
    splits = pd.DataFrame({"N": [best.N, 4 * best.N], "D": [best.D, best.D / 4]})
    left = analysis.loss_left(fitted, splits)
    assert left.left[0] == pytest.approx(0, abs=1e-9)
    assert left.wasted[0] == pytest.approx(0, abs=1e-6)
    loss = fitted.predict(splits)["loss"]
    assert left.left[1] == pytest.approx(loss[1] - best.loss)
    enough = analysis.allocate(fitted, 1e20 * (1 - left.wasted[1])).table.loss[0]
    assert enough == pytest.approx(loss[1])
    assert left.left_lower[1] > 0


def test_what_was_not_measured_is_said_of_every_table(fitted):
    """Each column, their product and their ratio; a loss that no tokens reach is nowhere."""
    corner = pd.DataFrame({"N": [fitted.ranges["N"][0]], "D": [3 * fitted.ranges["D"][1]]})
    apart = analysis.loss_left(fitted, corner)
    (sentence,) = outside_in_words(fitted, apart)
    assert not apart.inside[0] and "D/N = " in sentence and "outside the fitted" in sentence
    never = analysis.tokens_to_loss(fitted, 1e7, 1.8)
    assert not never.inside[0] and outside_in_words(fitted, never) == []
    near = analysis.cheapest(fitted, analysis.allocate(fitted, 1e20).table.loss[0])
    assert near.inside[0] and outside_in_words(fitted, near) == []


def test_tokens_to_a_loss_invert_the_law(fitted):
    table = analysis.tokens_to_loss(fitted, [1e8, 1e9], 2.6, batch=1e6)
    at = fitted.predict(table[["N", "D"]])["loss"]
    np.testing.assert_allclose(at, 2.6)
    np.testing.assert_allclose(table.steps, table.D / 1e6)
    never = analysis.tokens_to_loss(fitted, 1e7, 1.8).iloc[0]
    assert np.isinf(never.D) and never.reached == 0


def test_what_many_resamples_never_reach_has_no_upper_end(fitted):
    def at(share: float) -> pd.Series:
        """At the loss that this share of the resamples reaches with 1e9 parameters."""
        floors = fitted.draws["E"] + fitted.draws["A"] / 1e9 ** fitted.draws["alpha"]
        return analysis.tokens_to_loss(fitted, 1e9, floors.quantile(share), batch=1e6).iloc[0]

    sure, unsure = at(0.999), at(0.9)
    assert sure.D_lower < sure.D < sure.D_upper < np.inf
    assert 0.8 < unsure.reached < 0.95 and np.isinf([unsure.D_upper, unsure.steps_upper]).all()
    floors = fitted.draws["E"]
    budget = analysis.cheapest(fitted, floors.quantile(0.9)).iloc[0]
    assert budget.reached < 0.975 and np.isinf(budget.C_upper) and np.isfinite(budget.C_lower)


def test_the_critical_batch_is_that_of_the_law(made_by):
    fitted = analysis.fit(
        "critical_batch_at_loss", made_by("critical_batch_at_loss", 0.01)[0], resamples=50
    )
    table = analysis.critical_batch(fitted, [2.5, 3.0])
    predicted = fitted.predict(table[["loss"]])["critical_batch"]
    np.testing.assert_allclose(table.critical_batch, predicted)
    assert (table.critical_batch_lower < table.critical_batch).all()
    with pytest.raises(ValueError, match="a loss of 1e-300 is too far from those"):
        analysis.critical_batch(fitted, 1e-300)


def test_what_no_budget_reaches_is_refused(fitted, made_by):
    with pytest.raises(ValueError, match="no budget reaches a loss of 1.2"):
        analysis.cheapest(fitted, 1.2)
    with pytest.raises(ValueError, match="B_star and alpha_B"):
        analysis.critical_batch(fitted, 2.0)
    with pytest.raises(ValueError, match="positive numbers"):
        analysis.loss_left(fitted, pd.DataFrame({"N": [0.0], "D": [1.0]}))
    with pytest.raises(ValueError, match="law in N and D"):
        analysis.cheapest(analysis.fit("power", made_by("power")[0], resamples=0), 2.0)
