import numpy as np
import pytest

from scalinglab.analysis.fitting.space import Space
from scalinglab.analysis.laws import LAWS

CHINCHILLA = LAWS["chinchilla"]


def test_coordinates_and_parameters_invert():
    space = Space(CHINCHILLA)
    params = np.array([[1.7, 400.0, 0.3, 1800.0, 0.4]])
    np.testing.assert_allclose(space.expand(space.compress(params)), params)


def test_fixed_and_tied_parameters_leave_the_free_ones():
    space = Space(CHINCHILLA, fixed={"E": 1.7}, tied={"beta": "alpha"})
    assert space.free == ("A", "alpha", "B")
    params = space.expand(np.array([[np.log(400), 0.3, np.log(1800)]]))
    np.testing.assert_allclose(params, [[1.7, 400, 0.3, 1800, 0.3]])
    np.testing.assert_array_equal(space.select.sum(axis=0), [1, 2, 1])


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"fixed": {"gamma": 1}}, "no parameter 'gamma', only E, A, alpha, B, beta"),
        ({"fixed": {"E": -1}}, "E=-1 is outside 0 .. inf"),
        ({"tied": {"alpha": "beta", "beta": "alpha"}}, "'beta' must be free"),
        ({"bounds": {"E": (2, 1)}}, "low 2 not below high 1"),
        ({"fixed": {"E": 1, "A": 1, "alpha": 1, "B": 1, "beta": 1}}, "nothing is free"),
    ],
)
def test_what_makes_no_sense_is_refused(options, sentence):
    with pytest.raises(ValueError, match=sentence):
        Space(CHINCHILLA, **options)
