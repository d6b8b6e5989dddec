"""Responses that may be 0 and end at 1 are compared as they are, not in logarithms."""

import numpy as np
import pandas as pd
import pytest

from scalinglab import analysis
from scalinglab.analysis.tables.noise import seed_noise

NOISE = 0.01


@pytest.fixture(scope="module")
def tasks() -> pd.DataFrame:
    """Task errors between .2 and .9 with noise of .01 everywhere."""
    loss = np.linspace(1.0, 6.0, 60)
    luck = NOISE * np.random.default_rng(0).standard_normal(60)
    return pd.DataFrame({"loss": loss, "error": 0.9 - 1.6 * np.exp(-0.8 * loss) + luck})


def test_task_errors_are_fitted_in_their_own_unit(tasks):
    result = analysis.fit("task_error", tasks, resamples=300)
    assert (result.settings["objective"], result.scale.name) == ("huber", "absolute")
    made = result.law.predict(np.array([list(result.params.values())]), result.columns_of(tasks))
    np.testing.assert_allclose(result.residuals, tasks.error - made[0])
    assert 0.7 * NOISE < np.std(result.residuals) < 1.2 * NOISE
    assert "in the error (root mean square)" in result.report()


def test_intervals_are_as_wide_where_the_error_is_small(tasks):
    result = analysis.fit("task_error", tasks, resamples=300)
    ends = result.predict(pd.DataFrame({"loss": [1.5, 3.0, 5.5]}), level=0.95)
    width = (ends.upper - ends.lower).to_numpy()
    np.testing.assert_allclose(width, 4 * NOISE, rtol=0.35)
    beyond = result.predict(pd.DataFrame({"loss": [0.05]}), level=0.999)
    assert beyond.lower[0] >= 0


def test_a_task_that_is_solved_has_no_logarithm(tasks):
    solved = pd.concat([tasks, pd.DataFrame({"loss": [0.7], "error": [0.0]})], ignore_index=True)
    assert analysis.fit("task_error", solved, resamples=0).points == 61
    with pytest.raises(ValueError, match="'error' must hold positive numbers; 1 of 61"):
        analysis.fit("task_error", solved, objective="huber_log", resamples=0)
    with pytest.raises(ValueError, match="'error' must hold numbers from 0 to 1; .* of 61"):
        analysis.fit("task_error", solved.assign(error=solved.error + 1.2), resamples=0)


def test_delta_is_in_units_of_the_response(tasks):
    """At a large delta, Huber's is least squares: the same parameters."""
    wide = analysis.fit("task_error", tasks, delta=1.0, resamples=0)
    squares = analysis.fit("task_error", tasks, objective="least_squares", resamples=0)
    for name in wide.params:
        assert wide.params[name] == pytest.approx(squares.params[name], rel=1e-5)
    assert wide.objective == pytest.approx(squares.objective)


def test_seed_noise_is_in_units_of_the_response(tasks):
    rng = np.random.default_rng(1)
    repeats = [
        tasks.assign(N=tasks.loss, seed=s, error=tasks.error + 0.02 * rng.standard_normal(60))
        for s in range(3)
    ]
    noise = seed_noise(pd.concat(repeats), response="error", errors="absolute")
    assert noise == pytest.approx(0.02, rel=0.15)


def test_a_stored_fit_knows_its_scale(tasks, tmp_path):
    result = analysis.fit("task_error", tasks, resamples=20)
    result.save(tmp_path / "fit.json")
    read = analysis.read_fit(tmp_path / "fit.json")
    assert read.scale is result.scale
    pd.testing.assert_frame_equal(read.predict(tasks, level=0.9), result.predict(tasks, level=0.9))
