"""Starts of fits, spread evenly."""

from __future__ import annotations

import numpy as np
import pytest

from scalinglab.analysis.laws.parameter import Parameter
from scalinglab.analysis.laws.starts import spread_starts


def test_starts_are_halton_points_of_the_ranges() -> None:
    """The first coordinate halves, the second is in thirds: 1/2, 1/4, 3/4 and 1/3, 2/3, 1/9."""
    ranges = [Parameter("a", (0, 1)), Parameter("b", (1, 2)), Parameter("c", (1e2, 1e4), "log")]
    starts = spread_starts(ranges, 4)
    assert starts[:, 0].tolist() == pytest.approx([1 / 2, 1 / 4, 3 / 4, 1 / 8])
    assert starts[:, 1].tolist() == pytest.approx([1 + 1 / 3, 1 + 2 / 3, 1 + 1 / 9, 1 + 4 / 9])
    assert np.log10(starts[:, 2]).tolist() == pytest.approx([2.4, 2.8, 3.2, 3.6])


def test_two_fits_begin_at_equal_places() -> None:
    ranges = [Parameter("a", (0, 1))]
    first = spread_starts(ranges, 8)
    first[:] = 0  # what a fit does with its starts is no matter of the next one
    assert (spread_starts(ranges, 8) > 0).all()
