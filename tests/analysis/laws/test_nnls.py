import numpy as np
from scipy.optimize import nnls

from scalinglab.analysis.laws.nnls import nonnegative_coefficients


def test_agrees_with_scipy_one_problem_at_a_time():
    rng = np.random.default_rng(0)
    basis, target = rng.standard_normal((50, 3, 40)), rng.uniform(1, 2, 40)
    for found, one in zip(nonnegative_coefficients(basis, target), basis, strict=True):
        expected, _ = nnls((one / target).T, np.ones(40))
        np.testing.assert_allclose(found, expected, rtol=1e-6, atol=1e-9)
    for found, one in zip(nonnegative_coefficients(basis, target, "absolute"), basis, strict=True):
        np.testing.assert_allclose(found, nnls(one.T, target)[0], rtol=1e-6, atol=1e-9)


def test_a_dead_column_gets_zero():
    basis = np.stack([np.ones(5), np.zeros(5)])[None]
    np.testing.assert_allclose(nonnegative_coefficients(basis, np.full(5, 3.0)), [[3, 0]])
