import numpy as np
import pandas as pd
import pytest

from scalinglab import analysis
from scalinglab.analysis.intervals.freedom import freedom


def _line(groups, rows):
    """A line through points in groups of a common x: its Jacobian and the groups."""
    x = np.repeat(np.linspace(-1, 1, groups), rows)
    return np.stack([np.ones(len(x)), x]), np.repeat(np.arange(groups), rows)


def test_it_is_what_simulated_residuals_show():
    """Mean and variance of the estimated variance of a slope, over 20,000 sets of errors."""
    jacobian, group = _line(6, 3)
    found = freedom(jacobian, group)
    solve = np.linalg.pinv(jacobian.T)
    luck = np.random.default_rng(0).standard_normal((20_000, 6))[:, group]
    residual = luck - luck @ solve.T @ jacobian
    estimates = ((residual * solve[1]).reshape(len(luck), 6, 3).sum(-1) ** 2).sum(-1)
    assert found.left[1] == pytest.approx(estimates.mean() / (luck @ solve[1]).var(), rel=0.05)
    degrees = 2 * estimates.mean() ** 2 / estimates.var()
    assert found.degrees[1] == pytest.approx(degrees, rel=0.05)


def test_many_rows_of_few_groups_do_not_help():
    few, many = (freedom(*_line(4, rows)) for rows in (2, 50))
    np.testing.assert_allclose(few.degrees, many.degrees)
    assert freedom(*_line(200, 1)).degrees.min() > 50
    assert freedom(*_line(200, 1)).left.min() > 0.97


def test_what_is_told_beside_needs_no_residuals():
    jacobian, group = _line(3, 1)
    alone = freedom(jacobian, group)
    told = freedom(jacobian, group, np.array([[0.0], [1e6]]))  # the slope is known
    assert told.degrees[0] == pytest.approx(freedom(jacobian[:1], group).degrees[0], rel=1e-3)
    assert told.degrees[0] > alone.degrees[0]


def _trunks(made_by, sizes):
    runs, _ = made_by("chinchilla", noise=0.004)
    runs = runs[runs.N.isin(np.unique(runs.N)[:sizes])].reset_index(drop=True)
    return runs.assign(cluster=runs.N.rank(method="dense"))


@pytest.mark.parametrize("sizes", [2, 3, 4])
def test_few_trunks_give_no_interval_and_say_so(made_by, sizes):
    """Intervals of these contained alpha in 0, 32 and 83 of 100 studies."""
    result = analysis.fit("chinchilla", _trunks(made_by, sizes), resamples=100)
    assert result.summary[["lower", "upper", "standard_error"]].isna().all(axis=None)
    assert "no intervals are given: they would rest on" in " ".join(result.warnings)
    assert "none: see the warnings" in result.report()
    ahead = result.predict(pd.DataFrame({"N": [1e8], "D": [1e10]}), level=0.95)
    assert np.isfinite(ahead.loss[0]) and np.isnan(ahead.lower[0])
    table = analysis.allocate(result, [1e20]).table
    assert np.isfinite(table.N[0]) and np.isnan(table.N_lower[0])


def test_enough_trunks_give_intervals(made_by):
    result = analysis.fit("chinchilla", _trunks(made_by, 6), resamples=100)
    assert result.summary["lower"].notna().all()


def test_points_that_leave_a_parameter_open_do_not_seem_to_settle_it(made_by):
    """Two sizes allow any exponent: resamples begin at all places that are as good."""
    N, D = np.meshgrid([1e8, 1e9], np.geomspace(1e9, 1e11, 12))
    runs = pd.DataFrame({"N": N.ravel(), "D": D.ravel()})
    luck = np.exp(0.004 * np.random.default_rng(0).standard_normal(24))
    runs["loss"] = (1.7 + 400 / runs.N**0.34 + 1800 / runs.D**0.37) * luck
    result = analysis.fit("chinchilla", runs, resamples=200)
    assert {"E", "A", "alpha"} <= set(result.diagnosis.unidentified)
    assert "beta" not in result.diagnosis.unidentified
