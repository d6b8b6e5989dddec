"""Rows of which a bound is known: fitted by their likelihood."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from scipy.optimize import approx_fprime, minimize
from scipy.stats import norm

from scalinglab import analysis
from scalinglab.analysis.fitting.censored import Censored
from scalinglab.analysis.laws import LAWS
from scalinglab.analysis.laws.error_scale import RELATIVE
from scalinglab.analysis.tables.point_checks import TooFewPoints

POWER, A, NOISE, CAP = LAWS["power"], 0.5, 0.3, 6.0


def problem(seed: int = 0) -> pd.DataFrame:
    """-log of a pass rate against compute: above the cap only the bound is known."""
    rng = np.random.default_rng(seed)
    C = np.repeat(np.geomspace(1e9, 1e12, 12), 3)
    y = (2e11 / C) ** A * np.exp(NOISE * rng.standard_normal(len(C)))
    is_capped = y > CAP
    return pd.DataFrame(
        {
            "C": C,
            "y": np.where(is_capped, np.nan, y),
            "y_at_least": np.where(is_capped, CAP, np.nan),
        }
    )


def fitted(table: pd.DataFrame, **options):
    return analysis.fit("power", table, x="C", columns={"loss": "y"}, seed=1, **options)


def maximum_likelihood(table: pd.DataFrame) -> float:
    """The exponent of largest likelihood, by another way: all three numbers at once."""
    log_x = np.log(table["C"])
    is_capped = table["y"].isna()

    def cost(place):
        predicted = place[1] * (place[0] - log_x)
        spread = np.exp(place[2])
        z = (np.log(table["y"].fillna(1)) - predicted) / spread
        beyond = (predicted - np.log(CAP)) / spread
        parts = np.where(is_capped, norm.logcdf(beyond), norm.logpdf(z) - place[2])
        return -parts.sum()

    found = minimize(
        cost, [np.log(1e11), 0.4, -1.0], method="Nelder-Mead", options={"maxiter": 4000}
    )
    return float(found.x[1])


def test_the_likelihood_is_maximised_and_dropping_is_biased() -> None:
    table = problem()
    assert 8 <= table["y"].isna().sum() <= 16
    result = fitted(table, objective="least_squares", resamples=0)
    assert result.params["a"] == pytest.approx(maximum_likelihood(table), rel=0.01)
    assert result.points == table["y"].notna().sum()
    assert result.settings["censored"] == table["y"].isna().sum()
    assert "of which a bound is known" in result.report()
    dropped = table.drop(columns="y_at_least").dropna()
    short = fitted(dropped, objective="least_squares", resamples=0).params["a"]
    assert abs(result.params["a"] - A) < abs(short - A)


def test_intervals_contain_the_truth_and_rules_leave_bounds_in() -> None:
    result = fitted(problem(3), resamples=200, exclude=["unmeasured"])
    low, high = result.interval("a")
    assert low < A < high and result.settings["censored"]


def test_no_measured_row_is_refused() -> None:
    table = problem().assign(y=np.nan, y_at_least=CAP)
    with pytest.raises(TooFewPoints, match="only bounds are known"):
        fitted(table)


def test_the_gradient_is_that_of_the_value() -> None:
    x = {"x": np.array([1e9, 1e10, 1e11])}
    side = np.array([1.0, 1.0, -1.0])
    rows = Censored(x, RELATIVE.of(np.array([6.0, 6.0, 1.0])), side, 0.3, 2.0)
    place, weight = np.array([2e11, 0.5]), np.ones((1, 3))

    def value(logs):
        return rows.terms(POWER, np.exp(logs)[None], RELATIVE, weight)[0][0]

    _, gradient, curvature = rows.terms(POWER, place[None], RELATIVE, weight)
    numeric = approx_fprime(np.log(place), value, 1e-6)
    np.testing.assert_allclose(gradient[0] * place, numeric, rtol=1e-4)
    assert (np.linalg.eigvalsh(curvature[0]) >= -1e-12).all()
