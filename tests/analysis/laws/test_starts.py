"""Starts are the points of Halton's sequence, as SciPy has them."""

import numpy as np
from scipy.stats.qmc import Halton

from scalinglab.analysis.laws.parameter import Parameter
from scalinglab.analysis.laws.starts import spread_starts


def test_starts_are_haltons_points_to_the_last_bit():
    parameters = [Parameter(f"p{k}", start=(0.0, 1.0)) for k in range(12)]
    sequence = Halton(12, scramble=False)
    sequence.fast_forward(1)
    assert np.array_equal(spread_starts(parameters, 300), sequence.random(300))
