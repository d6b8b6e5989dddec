import numpy as np
import pytest

from scalinglab import analysis
from scalinglab.analysis.laws import LAWS


def test_skaling_holds_both_of_the_others(made_by):
    columns = LAWS["skaling"].read(made_by("chinchilla")[0])
    both = np.array([[1.7, 400.0, 0.34, 1800.0, 0.37, 1.0]])
    chinchilla = LAWS["chinchilla"].predict(both[:, :-1], columns)
    np.testing.assert_allclose(LAWS["skaling"].predict(both, columns), chinchilla)
    kaplan = LAWS["kaplan_nd"].predict(np.array([[8.8e13, 0.076, 5.4e13, 0.095]]), columns)
    as_skaling = np.array([[0, 8.8e13**0.076, 0.076, 5.4e13**0.095, 0.095, 0.095]])
    np.testing.assert_allclose(LAWS["skaling"].predict(as_skaling, columns), kaplan)


def test_on_published_points_a_wider_law_fits_no_worse(chinchilla_points):
    fits = {
        name: analysis.fit(name, chinchilla_points, resamples=0)
        for name in ("kaplan_nd", "chinchilla", "skaling")
    }
    assert fits["skaling"].objective < fits["chinchilla"].objective < fits["kaplan_nd"].objective
    assert fits["skaling"].objective == pytest.approx(9.5418e-4, rel=1e-4)
    assert fits["skaling"].diagnosis.agree > 0.9
