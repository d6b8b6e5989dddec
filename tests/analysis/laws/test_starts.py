import numpy as np
import pytest
from scipy.stats.qmc import Halton

from scalinglab.analysis.laws import starts


@pytest.mark.parametrize("count", [1, 64, 5000])
def test_points_are_those_of_haltons_sequence(count):
    sequence = Halton(12, scramble=False)
    sequence.fast_forward(1)
    np.testing.assert_array_equal(starts._halton(count), sequence.random(count))
