import numpy as np
import pytest

from scalinglab.analysis.fitting.objective import OBJECTIVES, Objective


@pytest.mark.parametrize("name", OBJECTIVES)
def test_the_slope_is_the_derivative_of_the_cost(name):
    objective = Objective(name, delta=1e-2)
    residual = np.array([-0.3, -0.01 + 1e-5, -0.004, 0.002, 0.03])
    rise = objective.cost(residual + 1e-8)[0] - objective.cost(residual - 1e-8)[0]
    np.testing.assert_allclose(objective.cost(residual)[1], rise / 2e-8, rtol=1e-5)


def test_huber_is_the_published_sum():
    """delta (|r| - delta/2) beyond delta and r²/2 within, in units of delta²."""
    objective = Objective("huber_log", delta=1e-3)
    cost = objective.cost(np.array([5e-4, 2e-2]))[0] * objective.unit
    np.testing.assert_allclose(cost, [1.25e-7, 1e-3 * (2e-2 - 5e-4)])


@pytest.mark.parametrize("name", OBJECTIVES)
def test_full_caution_is_a_quadratic_above_the_cost(name):
    """The bound that makes reweighted least squares descend (its curvature, touching at r)."""
    objective = Objective(name, delta=1e-2)
    at, to = np.array([[0.05]]), np.linspace(1e-3, 0.2, 99)[None]
    cost, slope = objective.cost(at)
    bend = objective.curvature(at, 1.0)
    above = cost + slope * (to - at) + 0.5 * bend * (to - at) ** 2
    assert (above >= objective.cost(to)[0] - 1e-9).all()


def test_asymmetric_cost_falls_on_predictions_above_the_measurement():
    cost = Objective("asymmetric", asymmetry=10).cost(np.array([0.1, -0.1]))[0]
    assert cost[0] == pytest.approx(10 * cost[1])


@pytest.mark.parametrize("name", ["huber_log", "least_squares"])
def test_information_makes_the_cost_a_likelihood(name):
    """For a mean of normal values, the ratio statistic of a wrong mean is its squared z-score."""
    rng, sigma, n = np.random.default_rng(0), 0.01, 20_000
    values, objective = sigma * rng.standard_normal(n), Objective(name)
    shifted = values + 3 * sigma / np.sqrt(n) * np.sqrt(np.pi / 2 if name == "huber_log" else 1)
    rise = (objective.cost(shifted)[0] - objective.cost(values)[0]).sum()
    rise -= (shifted - values)[0] * objective.cost(values)[1].sum()
    ratio = 2 * objective.information(values, free=1) * rise
    assert ratio == pytest.approx(9, rel=0.15)


def test_a_law_with_absolute_errors_gets_the_huber_cost_of_its_responses():
    assert Objective.of(None, 1e-3, 10, "absolute") == Objective("huber", errors="absolute")
    assert Objective.of(None, 1e-3, 10, "relative").name == "huber_log"
    assert Objective.of("huber_log", 1e-3, 10, "absolute").scale.name == "relative"
    assert Objective.of("asymmetric", 1e-3, 10, "absolute").scale.name == "absolute"
    assert Objective("huber").squares.scale.name == "absolute"


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"name": "mae"}, "'mae' is not one of huber_log, huber"),
        ({"delta": 0}, "delta=0: allowed is"),
    ],
)
def test_a_wrong_option_is_named(options, sentence):
    with pytest.raises(ValueError, match=sentence):
        Objective(**options)
