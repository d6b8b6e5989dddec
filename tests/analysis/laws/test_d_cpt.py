"""Continued training on a share of a domain."""

import numpy as np
import pytest

from scalinglab import analysis
from scalinglab.analysis.laws import LAWS
from scalinglab.scaling.errors import UserError

LAW = LAWS["d_cpt"]


def test_at_one_share_it_is_chinchilla(made_by):
    runs, params = made_by("chinchilla")
    plain = [params[name] for name in ("E", "A", "alpha", "B", "beta")]
    values = np.array([[*plain, 0.3, 0.2, 0.5, 0.1]])
    found = LAW.predict(values, LAW.read(runs.assign(r=1.0)))[0]
    np.testing.assert_allclose(found, runs["loss"] + 0.2 / 1.1**0.5)


def test_a_share_of_none_is_a_share_and_others_are_refused(made_by):
    runs, params = made_by("d_cpt")
    none = runs[runs["r"] == 0]
    expected = params["E"] + params["A"] / none["N"] ** params["alpha"]
    expected += params["C"] / params["epsilon"] ** params["gamma"]
    np.testing.assert_allclose(none["loss"], expected)
    for name, wrong, said in (("r", 1.5, "shares from 0 to 1"), ("D", 0.0, "positive numbers")):
        with pytest.raises(UserError, match=f"column '{name}' must hold {said}.*has {wrong:g}"):
            analysis.fit("d_cpt", runs.assign(**{name: wrong}), resamples=0)


@pytest.mark.slow
def test_intervals_of_a_noisy_table_contain_what_made_it(made_by):
    """Of parameters that the table tells, and of losses between and at its points."""
    inside, beyond = [], []
    for seed in range(10):
        runs, params = made_by("d_cpt", noise=0.004, seed=seed)
        result = analysis.fit("d_cpt", runs, resamples=100)
        for name in ("alpha", "beta", "eta"):
            row = result.summary.loc[name]
            inside.append(row["lower"] <= params[name] <= row["upper"])
        at = runs[["N", "D", "r"]].iloc[::7]
        true = LAW.predict(np.array([list(params.values())]), LAW.read(at))[0]
        told = result.predict(at, level=0.95)
        beyond += [*(told["lower"] <= true), *(true <= told["upper"])]
    assert np.mean(inside) >= 0.8 and np.mean(beyond) >= 0.9
