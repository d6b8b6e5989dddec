import numpy as np
import pytest

from scalinglab.analysis.laws import LAWS

LAW = LAWS["quality_quantity"]


@pytest.mark.parametrize("seen", [0.3, 1.0, 1.7, 4.0, 6.25])
def test_it_is_the_product_over_passes(seen):
    d, a, b, tau, pool = 1.5, 40.0, 0.2, 3.0, 1e6
    expected = a * min(seen, 1) ** -b * pool**-b
    for k in range(1, int(np.ceil(seen))):
        expected *= (min(k + 1, seen) / k) ** (-b * 0.5 ** (k / tau))
    values = np.array([[d, a, b, tau]])
    columns = {"D": np.array([seen * pool]), "U": np.array([pool])}
    assert LAW.predict(values, columns)[0, 0] == pytest.approx(d + expected)


def test_without_repetition_it_is_a_power_law():
    D = np.geomspace(1e5, 1e9, 5)
    found = LAW.predict(np.array([[1.5, 40.0, 0.2, 0.1]]), {"D": D, "U": D})
    np.testing.assert_allclose(found[0], 1.5 + 40 * D**-0.2)
