"""The loss stands on both sides of Kaplan's law of steps and batch size."""

import numpy as np
import pytest

from scalinglab import analysis
from scalinglab.analysis.laws import LAWS

LAW = LAWS["kaplan_steps"]
PRINTED = dict(N_c=6.5e13, alpha_N=0.077, S_c=2.1e3, alpha_S=0.76, B_star=2.1e8, alpha_B=0.21)


def _loss(N, steps, batch, **changed):
    columns = {"N": np.array([N]), "steps": np.array([steps]), "batch": np.array([batch])}
    values = {**PRINTED, **changed}
    return float(LAW.predict(np.array([[values[n] for n in LAW.names]]), columns)[0, 0])


@pytest.mark.parametrize("steps", [10.0, 1e3, 1e6])
@pytest.mark.parametrize("batch", [1e2, 1e5, 1e9])
@pytest.mark.parametrize("B_star", [1.0, 2.1e8, 1e20])
def test_the_solution_solves_the_equation(steps, batch, B_star):
    loss = _loss(1e8, steps, batch, B_star=B_star)
    crit = B_star / loss ** (1 / PRINTED["alpha_B"])
    S_min = steps / (1 + crit / batch)
    right = (6.5e13 / 1e8) ** 0.077 + (2.1e3 / S_min) ** 0.76
    assert loss == pytest.approx(right, rel=1e-10)


def test_at_a_huge_batch_steps_count_in_full():
    expected = (6.5e13 / 1e8) ** 0.077 + (2.1e3 / 1e4) ** 0.76
    assert _loss(1e8, 1e4, 1e15) == pytest.approx(expected, rel=1e-6)


def test_at_a_tiny_batch_only_tokens_count():
    assert _loss(1e8, 1e8, 10.0) == pytest.approx(_loss(1e8, 2e8, 5.0), rel=1e-4)


def test_it_is_recovered_from_noisy_runs(made_by):
    runs, params = made_by("kaplan_steps", noise=0.003)
    result = analysis.fit("kaplan_steps", runs, resamples=200)
    for name in ("alpha_N", "alpha_S", "alpha_B"):
        low, high = result.interval(name)
        assert low < params[name] < high
        assert high - low < 0.5 * params[name]
