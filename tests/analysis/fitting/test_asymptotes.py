"""Limits of unlimited compute, and their law in the data (arXiv:2509.14786)."""

import numpy as np
import pandas as pd
import pytest

from scalinglab import analysis

POOLS = np.array([2e8, 4e8, 8e8, 1.6e9, 3.2e9])
QUIET = 1e-5  # relative noise; without any, every fit would go on to the last digit


def _limit(U):
    return 2.0 + (6e8 / U) ** 0.3


def _runs(noise: float = QUIET, seed: int = 0) -> pd.DataFrame:
    N, U = (a.ravel() for a in np.meshgrid(np.geomspace(1.5e8, 3e9, 8), POOLS))
    luck = np.exp(noise * np.random.default_rng(seed).standard_normal(len(N)))
    return pd.DataFrame({"N": N, "U": U, "loss": (_limit(U) + (4e7 / N) ** 0.9) * luck})


def test_limits_and_their_law_are_recovered():
    found = analysis.asymptotes(_runs(), resamples=10)
    np.testing.assert_allclose(found.table.limit, _limit(POOLS), rtol=1e-4)
    assert found.law.params["L_inf"] == pytest.approx(2.0, rel=2e-3)
    assert found.law.params["a"] == pytest.approx(0.3, rel=2e-2)


def test_the_doubt_of_the_limits_goes_on_into_their_law():
    few, many = (analysis.asymptotes(_runs(noise), resamples=100) for noise in (5e-4, 2e-3))
    assert few.table.identified.all()
    inside = (few.table.lower <= _limit(POOLS)) & (_limit(POOLS) <= few.table.upper)
    assert inside.sum() >= 4
    low, high = few.law.interval("L_inf")
    assert low < 2.0 < high
    assert many.law.summary.standard_error["L_inf"] > 2 * few.law.summary.standard_error["L_inf"]
    ahead = pd.DataFrame({"U": [6.4e9]})
    interval = few.law.predict(ahead, level=0.95)
    assert interval.lower[0] < _limit(6.4e9) < interval.upper[0]


def test_ensembles_take_members_and_then_size_to_their_limit():
    members, N, U = (
        a.ravel() for a in np.meshgrid([1, 2, 3, 5, 8], np.geomspace(1.5e8, 3e9, 5), POOLS[:2])
    )
    loss = _limit(U) + (4e7 / N) ** 0.9 + (0.05 / members) ** 1.1
    luck = np.exp(QUIET * np.random.default_rng(0).standard_normal(len(loss)))
    runs = pd.DataFrame({"members": members, "N": N, "U": U, "loss": loss * luck})
    found = analysis.asymptotes(runs, x=["members", "N"], resamples=10)
    np.testing.assert_allclose(found.table.limit, _limit(POOLS[:2]), rtol=2e-3)
    assert found.law is None  # two limits are too few for a law
    assert ("members", 1.5e8, 2e8) in found.fits and ("N", 2e8) in found.fits


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (lambda r: r.drop(columns="U"), "asymptotes need column 'U'"),
        (lambda r: r[(r.U > 3e8) | (r.N < 4e8)], "3 points at U=2e[+]08: a limit in N needs four"),
    ],
)
def test_what_is_missing_is_named(change, sentence):
    with pytest.raises(ValueError, match=sentence):
        analysis.asymptotes(change(_runs()), resamples=0)
