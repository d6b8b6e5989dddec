"""Passes beyond the first hundreds: the sum that is not written out, and no array of its length."""

import numpy as np
import pytest

from scalinglab.analysis.laws.later_passes import FIRST_PASSES, later_passes
from scalinglab.analysis.laws.quality_pools import quality_pools_law
from scalinglab.analysis.laws.quality_quantity import QUALITY_QUANTITY


@pytest.mark.parametrize("half_life", [0.01, 2, 50, 1e4, np.inf])
def test_the_closed_form_is_the_sum(half_life):
    discount = np.exp(-np.log(2) / half_life)
    k = np.arange(FIRST_PASSES + 1, 5001)
    terms = np.cumsum(discount ** (k - 1.0) * np.log(k / (k - 1)))
    passes = np.array([1, FIRST_PASSES, FIRST_PASSES + 1, 1000, 5000])
    expected = [0, 0, terms[0], terms[1000 - FIRST_PASSES - 1], terms[-1]]
    assert later_passes(np.array([[discount]]), passes)[0] == pytest.approx(
        expected, rel=1e-4, abs=1e-12
    )


def test_a_billion_epochs_take_no_array_of_that_length():
    law = quality_pools_law(["a"])
    columns = {"D": np.array([1e6, 1e15]), "U": np.array([1e6, 1e6]), "parts": np.ones((1, 2))}
    params = np.array([[1.0, 30.0, 4.0, 0.3]])
    names = list(law.names)
    by_name = {"d": 1.0, "a": 30.0, "tau": 4.0, "utility.a": 0.3}
    params = np.array([[by_name[name] for name in names]])
    pools = law.predict(params, columns)
    one = {"d": 1.0, "a": 30.0, "b": 0.3, "tau": 4.0}
    single = QUALITY_QUANTITY.predict(
        np.array([[one[name] for name in QUALITY_QUANTITY.names]]),
        {"D": columns["D"], "U": columns["U"]},
    )
    assert pools == pytest.approx(single) and pools[0, 1] < pools[0, 0]
