import numpy as np
import pytest

from scalinglab import analysis
from scalinglab.analysis.laws import LAWS
from scalinglab.analysis.laws.farseer import as_published


def test_it_is_the_published_formula_in_other_constants(made_by):
    table, params = made_by("farseer")
    c = as_published(params)
    N, D = table.N, table.D
    exponent = np.exp(c["A"] * N ** c["a"] + c["E"])
    coefficient = np.exp(c["B"] * N ** c["b"] + c["Q"])
    published = np.exp(c["s"] * N ** c["q"] + c["S"]) + coefficient / D**exponent
    np.testing.assert_allclose(published, table.loss)


def test_without_bends_and_slopes_it_is_chinchilla_in_the_data(made_by):
    columns = LAWS["farseer"].read(made_by("chinchilla")[0])
    flat = np.array([[1.7, 0, 0, 1800.0, 0, 0, 0.37, 0, 0]])
    expected = 1.7 + 1800 / columns["D"] ** 0.37
    np.testing.assert_allclose(LAWS["farseer"].predict(flat, columns)[0], expected)


def test_on_published_points_the_starts_agree(chinchilla_points):
    farseer = analysis.fit("farseer", chinchilla_points, resamples=0)
    assert farseer.objective == pytest.approx(7.91420e-4, rel=1e-4)
    assert farseer.diagnosis.agree > 0.9
    assert farseer.diagnosis.gradient < 1e-6


def test_a_resample_that_exceeds_every_number_there_has_no_value_and_says_nothing():
    law = LAWS["farseer"]
    wild = dict.fromkeys(law.names, 1.0) | {"E_slope": 2.0, "E_bend": 2.0}
    columns = {"N": np.array([1e4, 1e15]), "D": np.array([1e9, 1e20])}
    assert np.isinf(law.predict(np.array([list(wild.values())]), columns)[0, 1])
