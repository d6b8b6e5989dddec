import dataclasses

import numpy as np
import pandas as pd
import pytest

from scalinglab import analysis
from scalinglab.analysis.decisions.allocation import budgets_inside
from scalinglab.analysis.decisions.optimum import best_split


@pytest.fixture(scope="module")
def fitted(made_by):
    return analysis.fit("chinchilla", made_by("chinchilla", noise=0.003)[0], resamples=200)


def test_the_closed_form_is_the_minimum(fitted):
    row = analysis.allocate(fitted, 1e20).table.iloc[0]
    N = row.N * np.array([0.98, 1, 1.02])
    around = fitted.predict(pd.DataFrame({"N": N, "D": 1e20 / (6 * N)})).loss.to_numpy()
    assert around[1] < around[0] and around[1] < around[2]
    assert row.N * row.D * 6 == pytest.approx(1e20)
    assert around[1] == pytest.approx(row.loss)


def test_any_other_cost_is_minimised_numerically(fitted):
    closed = analysis.allocate(fitted, [1e19, 1e21]).table
    numerical = analysis.allocate(fitted, [1e19, 1e21], cost=lambda N, D: 6 * N * D).table
    for name in ("N", "D", "N_lower", "N_upper"):
        np.testing.assert_allclose(numerical[name], closed[name], rtol=1e-4)
    with_embedding = analysis.allocate(fitted, 1e20, cost=lambda N, D: 6 * (N + 5e8) * D).table
    assert with_embedding.D[0] < closed.D[1]
    assert (with_embedding.N[0] + 5e8) * with_embedding.D[0] * 6 == pytest.approx(1e20, rel=1e-3)


def test_budgets_together_split_as_each_alone(fitted):
    """A budget that all laws share is costed on one grid of sizes, not on one a law."""
    params = fitted.draws.to_numpy()[:50]
    asked: list[int] = []

    def cost(N, D):
        asked.append(np.size(N))
        return 6 * (N + 1e7) * D

    alone = [best_split(fitted.law, params, C, cost) for C in (1e19, 1e20)]
    assert max(asked) < 48 * len(params)
    mixed = best_split(fitted.law, np.tile(params, (2, 1)), np.repeat([1e19, 1e20], 50), cost)
    np.testing.assert_array_equal(np.concatenate(alone, axis=1), mixed)


def test_the_interval_holds_the_truth_and_grows_outside_the_range(fitted):
    table = analysis.allocate(fitted, [1e19, 1e25]).table
    p = dict(E=1.7, A=400.0, alpha=0.34, B=1800.0, beta=0.37)
    G = (p["alpha"] * p["A"] / (p["beta"] * p["B"])) ** (1 / (p["alpha"] + p["beta"]))
    for row in table.itertuples():
        true = G * (row.C / 6) ** (p["beta"] / (p["alpha"] + p["beta"]))
        assert row.N_lower < true < row.N_upper
    width = np.log(table.N_upper / table.N_lower)
    assert width[1] > 2 * width[0]
    assert table.inside.tolist() == [True, False]


def test_a_loss_has_the_interval_of_the_law_that_figures_draw(fitted):
    """Outside the range it was that of the parameters alone: a fifth as wide, in one report."""
    table = analysis.allocate(fitted, [1e19, 1e25]).table
    band = fitted.band(table[["N", "D"]], 0.95)
    np.testing.assert_allclose(table["loss_lower"], band["lower"])
    np.testing.assert_allclose(table["loss_upper"], band["upper"])
    drawn = fitted.law.predict(fitted.draws.to_numpy(), fitted.columns_of(table[["N", "D"]]))
    by_parameters = np.ptp(np.quantile(drawn, [0.025, 0.975], axis=0), axis=0)
    width = table["loss_upper"] - table["loss_lower"]
    assert width[1] > 1.2 * by_parameters[1]
    assert width[0] == pytest.approx(by_parameters[0], rel=0.2)


def test_outside_the_range_is_said_in_words(fitted):
    assert analysis.allocate(fitted, 1e19).warnings == ()
    assert "outside the fitted range" in " ".join(analysis.allocate(fitted, 1e25).warnings)
    (told,) = [
        warning
        for warning in analysis.allocate(fitted, [1e25, 1e26]).warnings
        if "outside" in warning
    ]
    assert told.startswith("C = 1e+25, 1e+26 are outside the fitted range, 1e+26 by most: ")


def test_budgets_of_a_study_that_names_none_lie_inside_the_range(fitted):
    budgets = budgets_inside(fitted)
    assert 1 <= len(budgets) <= 3 and all(f"{budget:.0e}".startswith("1e") for budget in budgets)
    assert analysis.allocate(fitted, budgets).table["inside"].all()
    assert not analysis.allocate(fitted, 10 * budgets[-1]).table["inside"].any()


def test_what_cannot_be_allocated_is_refused(made_by, fitted):
    power = analysis.fit("power", made_by("power")[0], resamples=0)
    with pytest.raises(ValueError, match="law in N and D; power has x"):
        analysis.allocate(power, 1e20)
    with pytest.raises(ValueError, match="budgets must be positive"):
        analysis.allocate(fitted, [-1.0])
    with pytest.raises(ValueError, match="budgets must be positive"):
        analysis.allocate(fitted, [])
    with pytest.raises(ValueError, match="no best split"):
        analysis.allocate(fitted, 1e20, cost=lambda N, D: 6 * D + 0 * N)
    with pytest.raises(ValueError, match="linear in D"):
        analysis.allocate(fitted, 1e20, cost=lambda N, D: 6 * N * D**2)


def test_exponents_are_those_of_the_surface(fitted):
    found = analysis.allocate(fitted, [1e19, 1e20, 1e21]).exponents
    p = fitted.params
    assert found.exponent["N"] == pytest.approx(p["beta"] / (p["alpha"] + p["beta"]))
    assert found.exponent["N"] + found.exponent["D"] == pytest.approx(1)
    assert found.exponent["D/N"] == pytest.approx(found.exponent["D"] - found.exponent["N"])
    one = analysis.allocate(fitted, 1e20).exponents
    np.testing.assert_allclose(one, found)
    share = fitted.draws.beta / (fitted.draws.alpha + fitted.draws.beta)
    assert found.exponent_lower["N"] == pytest.approx(share.quantile(0.025))


def test_resamples_without_a_best_split_are_said(fitted):
    draws = fitted.draws.copy()
    draws.loc[: len(draws) // 2, "A"] = 0.0
    broken = dataclasses.replace(fitted, draws=draws)
    assert "50% of the resamples have no best split" in " ".join(
        analysis.allocate(broken, 1e20).warnings
    )
