"""How the errors of a refit without the largest runs are told."""

from __future__ import annotations

import numpy as np
import pytest

from scalinglab.analysis.fitting.extrapolation import lean_in_words


@pytest.mark.parametrize(
    ("errors", "words"),
    [
        ([-0.1] * 4, " (all too low)"),
        ([0.1] * 3, " (all too high)"),
        ([0.1] * 9 + [-0.1], " (9 of 10 too high)"),
        ([-0.1] * 4 + [0.1] * 2, ""),  # 67% of one sign: a coin does as much
        ([0.1, -0.1], ""),
        ([0.1, 0.1], ""),
        ([0.1], ""),
    ],
)
def test_errors_lean_where_chance_would_hardly_put_so_many_on_one_side(errors, words) -> None:
    assert lean_in_words(np.array(errors)) == words
