import numpy as np
import pandas as pd

from scalinglab.analysis.laws import LAWS
from scalinglab.analysis.laws.mixture import mixture_law

LAW = mixture_law([LAWS["chinchilla"], LAWS["power_plus_constant"]])
CHINCHILLA, POWER = [1.8, 400.0, 0.34, 2000.0, 0.37], [1.7, 20.0, 0.2]


def _said(law, params, columns):
    own = {name: columns[name] for name in LAWS[law].columns}
    return LAWS[law].predict(np.array([params]), own)[0]


def test_a_mixture_is_the_mean_of_logarithms_and_one_share_is_that_law():
    columns = {k: np.geomspace(1e8, 1e10, 5) for k in ("N", "D", "x")}
    params = np.array([[s, 1 - s, *CHINCHILLA, *POWER] for s in (1.0, 0.0, 0.25)])
    both = _said("chinchilla", CHINCHILLA, columns), _said("power_plus_constant", POWER, columns)
    expected = [both[0], both[1], both[0] ** 0.25 * both[1] ** 0.75]
    own = {k: columns[k] for k in LAW.columns}
    np.testing.assert_allclose(LAW.predict(params, own), expected, rtol=1e-12)


def test_columns_may_differ_by_parameter_vector():
    N = np.geomspace(1e8, 1e9, 6).reshape(2, 3)
    columns = {k: N * f for k, f in zip(LAW.columns, (1, 20, 1), strict=True)}
    params = np.array([[1.0, 0.0, *CHINCHILLA, *POWER], [0.0, 1.0, *CHINCHILLA, *POWER]])
    found = LAW.predict(params, columns)
    own = {k: columns[k][:1] for k in ("N", "D")}
    np.testing.assert_allclose(found[0], _said("chinchilla", CHINCHILLA, own))


def test_what_a_law_makes_of_a_schedule_is_its_own():
    law = mixture_law([LAWS["lr_annealing"], LAWS["multi_power"]])
    frame = pd.DataFrame({"run": "a", "step": np.arange(50), "lr": np.linspace(1e-3, 0, 50)})
    columns = law.read(frame)
    assert set(columns) == set(law.columns)
    for one in law.laws:
        for name, column in one.read(frame).items():
            np.testing.assert_array_equal(columns[law.column(one, name)], column)
