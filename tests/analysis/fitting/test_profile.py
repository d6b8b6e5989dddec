import numpy as np
import pandas as pd
import pytest

from scalinglab import analysis


def test_a_profile_interval_agrees_with_the_exact_one_of_a_linear_law():
    """log L = a (log x0 - log x) under least squares is linear regression: Student's interval."""
    rng, x = np.random.default_rng(0), np.geomspace(1e15, 1e20, 200)
    y = 0.05 * (np.log(1e27) - np.log(x)) + 0.01 * rng.standard_normal(len(x))
    runs = pd.DataFrame({"x": x, "loss": np.exp(y)})
    profile = analysis.profile_likelihood("power", runs, "a", objective="least_squares")
    design = np.stack([np.ones_like(x), np.log(x)], axis=1)
    (_, slope), (squares,), _, _ = np.linalg.lstsq(design, y, rcond=None)
    error = np.sqrt(squares / (len(x) - 2) * np.linalg.inv(design.T @ design)[1, 1])
    np.testing.assert_allclose(
        profile.interval, [-slope - 1.96 * error, -slope + 1.96 * error], rtol=2e-3
    )
    assert profile.identified


def test_an_open_end_is_told():
    x = np.geomspace(1e15, 3e16, 8)
    loss = (0.2 + (1e27 / x) ** 0.05) * np.exp(0.002 * np.random.default_rng(0).standard_normal(8))
    runs = pd.DataFrame({"x": x, "loss": loss})
    profile = analysis.profile_likelihood("power_plus_constant", runs, "L_inf")
    assert profile.interval[0] == 0
    assert not profile.closed[0] and not profile.identified


def test_the_profile_of_the_published_points(chinchilla_points):
    profile = analysis.profile_likelihood("chinchilla", chinchilla_points, "E")
    assert profile.table.objective.min() == pytest.approx(1.018274e-3, rel=1e-5)
    assert 1.76 < profile.interval[0] < 1.80 and 1.83 < profile.interval[1] < 1.88


def test_only_free_parameters_have_a_profile(made_by):
    runs, _ = made_by("chinchilla")
    with pytest.raises(ValueError, match="'E' is not free; free are A"):
        analysis.profile_likelihood("chinchilla", runs, "E", fixed={"E": 1.7})
