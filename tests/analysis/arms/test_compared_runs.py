"""Runs of which only a bound is known, and those that rules leave out of a comparison."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from scalinglab import analysis
from scalinglab.analysis.arms.curves import compare_arm_curves
from scalinglab.scaling.errors import UserError

pytestmark = pytest.mark.usefixtures("untested_sharing")


def two_arms() -> pd.DataFrame:
    N, D = (x.ravel() for x in np.meshgrid(np.geomspace(1e6, 1e8, 4), np.geomspace(1e8, 1e10, 4)))
    plain = pd.DataFrame({"N": N, "D": D, "loss": 1.5 + 90 / N**0.3 + 400 / D**0.35})
    better = plain.assign(loss=0.98 * plain["loss"])
    return pd.concat([plain.assign(arm="a"), better.assign(arm="b")], ignore_index=True)


def test_a_bound_is_no_value_of_a_pair_and_is_refused_unless_left_out() -> None:
    runs = two_arms()
    runs["loss_at_least"] = np.where(runs.index.isin([0, 1, 17]), 1.0, np.nan)
    runs["loss"] = runs["loss"].where(runs["loss_at_least"].isna())
    with pytest.raises(
        UserError, match=r"of 2 runs of a and 1 runs of b only a bound of the compared"
    ):
        analysis.compare_arms(runs, resamples=0)
    without = analysis.compare_arms(runs, resamples=0, exclude=["bounded"])
    assert "3 runs are left out by exclude=[bounded]" in without.warnings
    assert len(without.pairs.table) == 14 and without.pairs.ratio == pytest.approx(0.98)
    plain = analysis.compare_arms(runs.dropna(subset="loss"), resamples=0)
    assert without.result.params == plain.result.params


def test_rules_leave_runs_out_and_diverged_ones_are_still_counted() -> None:
    runs = two_arms().assign(status="done")
    runs.loc[[3, 20], ["status", "loss"]] = ["diverged", np.nan]
    compared = analysis.compare_arms(runs, resamples=0, exclude=["D < 2e8", "unmeasured"])
    assert compared.censored == {"a": 1, "b": 1}
    assert compared.pairs.table["D"].min() > 2e8
    with pytest.raises(UserError, match="'unmeasurd' is not one of unmeasured"):
        analysis.compare_arms(runs, resamples=0, exclude=["unmeasurd"])


def test_curves_without_a_common_step_are_told_in_a_sentence() -> None:
    steps = pd.DataFrame({"step": [1, 2, 3], "lr": 0.1, "loss": [2.0, np.nan, np.nan]})
    other = steps.assign(loss=[np.nan, 1.9, 1.8])
    both = pd.concat([steps.assign(run="x", arm="a"), other.assign(run="y", arm="b")])
    with pytest.raises(UserError, match="1 pairs of runs have one schedule, and no step at which"):
        compare_arm_curves(both, between=("a", "b"))
