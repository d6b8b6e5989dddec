import numpy as np
import pandas as pd
import pytest

from scalinglab import analysis
from scalinglab.analysis.laws import LAWS
from scalinglab.analysis.laws.size_annealing import momentum_area


def test_at_one_size_it_is_the_momentum_law(made_by):
    frame, params = made_by("joint_annealing")
    at = frame[frame.run.str.endswith(" 3e+07")].reset_index(drop=True)
    law, plain = LAWS["joint_annealing"], LAWS["lr_annealing"]
    given = np.array([[params[name] for name in law.names]])
    size = 3e7 / 1e8
    one = params | {
        "L0": params["L0"] + params["B"] * size ** -params["beta"],
        "C": params["C"] * size ** -params["gamma"],
    }
    there = np.array([[one[name] for name in plain.names]])
    np.testing.assert_allclose(
        law.predict(given, law.read(at)), plain.predict(there, plain.read(at)), rtol=1e-12
    )


@pytest.mark.parametrize("name", ["joint_annealing", "size_annealing"])
def test_a_planned_size_and_schedule_are_predicted_from_smaller_ones(name, made_by):
    frame, _ = made_by(name, noise=0.001)
    planned = (frame.N == 3e8) & frame.run.str.startswith("wsd")
    seen = (frame.N < 3e8) & ~frame.run.str.startswith("wsd")
    result = analysis.fit(name, frame[seen], resamples=0)
    predicted = result.predict(frame[planned].drop(columns="loss")).loss
    final = frame.loss[planned].last_valid_index()
    assert predicted[final] == pytest.approx(frame.loss[final], rel=0.02)


def test_a_size_that_is_no_number_is_told(made_by):
    frame, _ = made_by("joint_annealing")
    frame = frame.assign(N=np.where(frame.step == 3, -1.0, frame.N))
    for name in ("joint_annealing", "size_annealing"):
        with pytest.raises(ValueError, match="'N' must hold positive numbers"):
            analysis.fit(name, frame, resamples=0)


def test_the_annealing_momentum_is_that_of_adam():
    lr = np.concatenate([np.linspace(0, 1e-3, 50), 1e-3 * np.linspace(1, 0, 150) ** 2])
    first = second = area = 0.0
    expected = [0.0] * 50
    for i in range(50, len(lr)):
        drop = lr[i - 1] - lr[i]
        first = 0.9 * first + 0.1 * drop
        second = 0.999 * second + 0.001 * drop**2
        mean, square = first / (1 - 0.9 ** (i + 1)), second / (1 - 0.999 ** (i + 1))
        area += mean / (np.sqrt(1e5 * square + 1e-8) + 1e-8)
        expected.append(area)
    np.testing.assert_allclose(momentum_area(lr), expected, rtol=1e-6, atol=1e-12)


def test_curves_of_several_sizes_come_from_tables_with_holes(made_by):
    frame, params = made_by("joint_annealing")
    shuffled = pd.DataFrame(frame).sample(frac=1, random_state=0)
    result = analysis.fit("joint_annealing", shuffled, resamples=0)
    assert result.params["beta"] == pytest.approx(params["beta"], rel=1e-3)
