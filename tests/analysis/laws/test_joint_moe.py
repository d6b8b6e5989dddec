"""The published tables of arXiv:2502.05172."""

import numpy as np
import pandas as pd
import pytest

from scalinglab import analysis
from scalinglab.analysis.laws.chinchilla import CHINCHILLA
from scalinglab.analysis.laws.experts import effective_experts
from scalinglab.analysis.laws.joint_moe import JOINT_MOE

AT = JOINT_MOE.reference


def _reduced(E: float) -> dict[str, float]:
    """The law for one E, with Chinchilla's names."""
    log_E = np.log(effective_experts(E, AT["E_start"], AT["E_max"]))
    return {
        "E": AT["c"],
        "A": AT["a"] * np.exp(AT["delta"] * log_E),
        "alpha": -AT["alpha"] - AT["gamma"] * log_E,
        "B": AT["b"] * np.exp(AT["omega"] * log_E),
        "beta": -AT["beta"] - AT["zeta"] * log_E,
    }


@pytest.mark.parametrize(
    ("E", "m", "mu", "n", "nu"),
    [
        (1, 30.3640, -0.1817, 53.9838, -0.1965),
        (8, 21.8330, -0.1676, 119.9126, -0.2338),
        (32, 16.5424, -0.1557, 234.6726, -0.2652),
    ],
)
def test_for_one_number_of_experts_it_is_the_chinchilla_law_of_table_4(E, m, mu, n, nu):
    reduced = _reduced(E)
    assert reduced["A"] == pytest.approx(m, rel=5e-3)
    assert reduced["B"] == pytest.approx(n, rel=5e-3)
    assert (-reduced["alpha"], -reduced["beta"]) == pytest.approx((mu, nu), abs=2e-4)
    point = pd.DataFrame({"n_active": [1e9], "D": [2e10], "experts": [float(E)]})
    params = np.array([[AT[name] for name in JOINT_MOE.names]])
    same = CHINCHILLA.value(N=1e9, D=2e10, **reduced)
    assert JOINT_MOE.predict(params, JOINT_MOE.read(point))[0, 0] == pytest.approx(same)


@pytest.mark.parametrize(("E", "best"), [(1, 5.7e9), (8, 3.8e9), (32, 2.85e9)])
def test_its_best_sizes_are_those_of_table_1(E, best):
    assert CHINCHILLA.best_size(1e21, **_reduced(E)) == pytest.approx(best, rel=0.03)


def test_it_is_found_from_noisy_runs_up_to_their_own_number_of_experts(made_by):
    """The paper's own E go to 32: E_max is not told there, and what is predicted is."""
    whole, true = made_by("joint_moe", noise=0.005)
    seen = whole[whole.experts <= 32]
    result = analysis.fit("joint_moe", seen, resamples=0)
    params = np.array([[true[name] for name in JOINT_MOE.names]])
    exact = JOINT_MOE.predict(params, JOINT_MOE.read(seen))[0]
    assert np.abs(result.predict(seen).loss / exact - 1).max() < 0.01
    assert result.diagnosis.agree > 0.1
