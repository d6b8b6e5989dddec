"""Pass rates measured by sampling until a number of successes."""

import numpy as np
import pandas as pd
import pytest

from scalinglab import analysis

X0, A = 3e9, 0.4


def _sampled(successes: int = 40, seed: int = 0) -> pd.DataFrame:
    """Rates from 1 in 20,000 to 1 in 2, each sampled until so many successes."""
    rng = np.random.default_rng(seed)
    N = np.geomspace(1e7, 1e10, 14)
    rate = np.exp(-((X0 / N) ** A))
    samples = successes + rng.negative_binomial(successes, rate)
    measured, noise = analysis.pass_rate(np.full(14, successes), samples)
    return pd.DataFrame({"N": N, "pass_rate": measured, "noise": noise})


def test_every_rate_has_the_same_relative_error():
    table = _sampled()
    rare = table[table.pass_rate < 0.1]
    np.testing.assert_allclose(rare.noise, 1 / np.sqrt(40), rtol=0.06)
    off = [np.log(_sampled(seed=s).pass_rate[0]) + (X0 / 1e7) ** A for s in range(200)]
    assert np.std(off) == pytest.approx(1 / np.sqrt(40), rel=0.15)


def test_rare_successes_predict_common_ones():
    table = _sampled()
    small = table[table.N < 1e9]
    assert small.pass_rate.max() < 0.25
    result = analysis.fit("task_pass_rate", small, x="N", noise="noise", resamples=300)
    low, high = result.interval("a")
    assert low < A < high and high - low < 0.15
    ahead = result.predict(pd.DataFrame({"N": [1e10]}), level=0.95)
    assert ahead.lower[0] < np.exp(-((X0 / 1e10) ** A)) < ahead.upper[0] <= 1


@pytest.mark.parametrize(("successes", "samples"), [(0, 10), (11, 10)])
def test_impossible_counts_are_refused(successes, samples):
    with pytest.raises(ValueError, match="successes must be at least 1"):
        analysis.pass_rate([successes], [samples])
