"""Whether a pass rate keeps to its law, on tables whose law is known."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from scalinglab.analysis.studies.emergence import judge
from scalinglab.scaling.errors import UserError

COLUMN = "task.addition_2.pass_neg_log"
SIZES = np.repeat([4e3, 8e3, 16e3, 32e3, 64e3, 256e3], 2)


def runs(bend: float = 1.0, noise: float = 0.03) -> pd.DataFrame:
    """Two seeds a size; -log(rate) of the largest is `bend` times what the law of the others says."""
    table = pd.DataFrame({"N": SIZES, "D": 20 * SIZES, "seed": np.tile([0, 1], 6)})
    table["C"] = 6 * table["N"] * table["D"]
    table = table.assign(status="done", loss=2.0, cluster=range(12), run_id=list("abcdefghijkl"))
    table["role"] = ["fit"] * 10 + ["held_out"] * 2
    draw = np.random.default_rng(0).standard_normal(12)
    table[COLUMN] = (1e12 / table["C"]) ** 0.3 * np.exp(noise * draw)
    table.loc[table["role"] == "held_out", COLUMN] *= bend
    return table


@pytest.mark.parametrize(
    ("bend", "said"),
    [
        (1.0, "It did not bend"),
        (0.4, "pass more often than the law allows"),
        (2.5, "pass less often than the law allows"),
    ],
)
def test_a_larger_size_that_leaves_the_law_is_seen_and_one_that_keeps_it_is_too(bend, said) -> None:
    found = judge(runs(bend), resamples=100)
    assert said in found.sentences[0] and found.forecasts is None
    rates = found.tables["Pass rates"]
    assert rates["below 1e-2"].any() and len(rates) == 6


def test_a_scatter_too_wide_to_test_anything_is_told() -> None:
    assert "cannot be told" in judge(runs(noise=0.8), resamples=100).sentences[0]


def test_before_a_larger_size_is_trained_its_rate_is_predicted_and_can_be_kept() -> None:
    table = runs()
    ahead = table[table["role"] == "held_out"].assign(steps=100)
    found = judge(table[table["role"] == "fit"], planned=ahead, resamples=100)
    assert found.sentences[0].startswith("Predicted pass rate of addition_2 before it is trained")
    assert found.forecasts is not None and set(found.forecasts["column"]) == {COLUMN}
    true = ahead[COLUMN].to_numpy()
    assert (found.forecasts["lower"] < true).all() and (true < found.forecasts["upper"]).all()


def test_a_bound_is_fitted_as_censored_and_is_told() -> None:
    table = runs()
    table[f"{COLUMN}_at_least"] = np.nan
    table.loc[0, [COLUMN, f"{COLUMN}_at_least"]] = np.nan, 9.0
    found = judge(table, resamples=50)
    assert any("counts them as censored" in warning for warning in found.warnings)
    assert found.tables["Pass rates"]["bound"].sum() == 1


@pytest.mark.parametrize(
    ("bound", "said"),
    [
        (30.0, "pass less often than the law allows"),  # the law says 1.7
        (0.2, "all runs reached the cap of samples, and the law allows rates below that bound"),
    ],
)
def test_a_held_out_bound_tests_the_law_and_is_not_said_to_be_fitted(bound, said) -> None:
    table = runs()
    table[f"{COLUMN}_at_least"] = np.where(table["role"] == "held_out", bound, np.nan)
    table.loc[table["role"] == "held_out", COLUMN] = np.nan
    finding = judge(table, resamples=50)
    assert "at most" in finding.sentences[0] and said in finding.sentences[0]
    assert not any("censored" in warning for warning in finding.warnings)
    assert any("2 held-out runs" in warning for warning in finding.warnings)


def test_what_was_not_measured_names_the_command_that_measures_it() -> None:
    with pytest.raises(UserError, match="probe=pass_until options.task=addition") as error:
        judge(runs().drop(columns=COLUMN))
    assert "options.difficulty=2" in str(error.value)
    with pytest.raises(UserError, match="2 different C"):
        judge(runs().query("N < 1e4"))
