"""Candidates beside and beyond the runs of a table."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from scalinglab.analysis.decisions.beyond_table import candidates_of_table
from scalinglab.analysis.decisions.cost_functions import SIX_ND
from scalinglab.scaling.errors import UserError


def test_every_pair_and_one_step_beyond_is_a_candidate() -> None:
    runs = pd.DataFrame({"N": [1e6, 1e6, 4e6], "D": [1e8, 1e8, 2e8]})
    table = candidates_of_table(runs, SIX_ND)
    assert sorted(set(table["N"])) == [1e6, 4e6, 1.6e7]
    assert sorted(set(table["D"])) == [1e8, 2e8, 4e8] and len(table) == 9
    made = table.set_index(["N", "D"])["made"]
    assert made[1e6, 1e8] == 2 and made[4e6, 2e8] == 1 and made.sum() == 3
    assert (table["cost"] == 6 * table["N"] * table["D"]).all()


def test_many_values_are_thinned_and_a_single_one_doubles() -> None:
    many = pd.DataFrame({"N": 1e6, "D": np.geomspace(1e8, 1e11, 200)})
    table = candidates_of_table(many, SIX_ND)
    assert sorted(set(table["N"])) == [1e6, 2e6]
    lengths = np.unique(table["D"])
    assert len(lengths) == 13 and lengths[0] == 1e8 and lengths[-2] == pytest.approx(1e11)


def test_named_axes_are_taken_as_they_are() -> None:
    runs = pd.DataFrame({"N": [1e6], "D": [1e8]})
    assert len(candidates_of_table(runs, SIX_ND, [3e6], [1e8, 2e8])) == 2
    with pytest.raises(UserError, match=r"grid.D = -1.0: allowed are positive numbers"):
        candidates_of_table(runs, SIX_ND, [], [-1.0])
