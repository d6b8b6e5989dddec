"""Losses by pool beside losses by store: one validation set has one column in a table."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from scalinglab.analysis.tables.validation_sets import (
    SET,
    as_loss,
    pool_names,
    refuse_different_sets,
    with_pool_sets,
)
from scalinglab.scaling.errors import UserError


def test_a_name_that_several_pools_have_is_told_apart_by_content():
    pools = [{"web": "0123456789", "code": "aa"}, {"web": "9876543210"}, {}]
    assert pool_names(pools) == {
        ("web", "0123456789"): "web-01234567",
        ("web", "9876543210"): "web-98765432",
        ("code", "aa"): "code",
    }


@pytest.fixture
def table():
    """A mixture, a run of one of its sources, and a run of another that was validated on it."""
    return pd.DataFrame(
        {
            "loss": [2.0, 1.5, 3.0],
            SET: ["code+web-ab", "text-web", "text-other"],
            "loss.web": [1.8, np.nan, np.nan],
            "loss.code": [2.2, np.nan, np.nan],
            "loss.text-web": [np.nan, np.nan, 1.9],
        }
    )


def test_runs_of_one_source_and_of_several_have_their_common_set(table):
    whole = with_pool_sets(table, {"web": "text-web", "code": "text-code"})
    assert whole["loss.web"].tolist() == [1.8, 1.5, 1.9]
    assert whole["loss.text-web"].tolist() == [1.8, 1.5, 1.9]
    assert whole["loss.code"].isna().tolist() == [False, True, True]
    with pytest.raises(UserError, match=r"3 validation sets .*; columns\.loss=loss\.web names one"):
        refuse_different_sets(whole)
    common = as_loss(whole, "loss.web")
    refuse_different_sets(common)
    assert common["loss"].tolist() == [1.8, 1.5, 1.9]
