"""Pre-training and fine-tuning data."""

import numpy as np
import pytest

from scalinglab import analysis
from scalinglab.analysis.laws import LAWS


def test_it_is_chinchilla_in_two_budgets_of_data(made_by):
    runs, params = made_by("chinchilla")
    columns = {"m": runs.N.to_numpy(), "n": runs.D.to_numpy()}
    values = np.array([[params[name] for name in ("E", "A", "alpha", "B", "beta")]])
    np.testing.assert_allclose(LAWS["two_budget"].predict(values, columns)[0], runs.loss)


def test_it_is_recovered_from_noisy_runs(made_by):
    runs, params = made_by("two_budget", noise=0.005)
    result = analysis.fit("two_budget", runs, resamples=200)
    for name in ("E", "alpha", "beta"):
        low, high = result.interval(name, 0.99)
        assert low < params[name] < high
    assert result.params["alpha"] == pytest.approx(params["alpha"], rel=0.1)
