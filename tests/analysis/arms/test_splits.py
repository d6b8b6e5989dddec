"""The best split and the parameters of each of two recipes: known ones are found."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from scalinglab import analysis
from scalinglab.analysis.arms.comparison import ArmComparison
from scalinglab.analysis.arms.splits import (
    budget_of_answer,
    parameters_by_arm,
    split_lines,
    splits_in_words,
    with_splits,
)
from scalinglab.analysis.decisions.optimum import best_split

pytestmark = pytest.mark.usefixtures("untested_sharing")

LAW = analysis.LAWS["chinchilla"]
TRUE = {
    "adamw": np.array([1.7, 400.0, 0.34, 1800.0, 0.37]),
    "muon": np.array([1.7, 300.0, 0.34, 2300.0, 0.37]),
}


def runs(of_a_line: bool = False) -> pd.DataFrame:
    """Two recipes on a grid of N and D, or with N and D that grow together."""
    N, D = (x.ravel() for x in np.meshgrid(np.geomspace(1e7, 1e9, 5), np.geomspace(1e9, 1e11, 4)))
    if of_a_line:
        N = np.geomspace(1e7, 1e9, 8)
        D = 20 * N
    rng, tables = np.random.default_rng(0), []
    for arm, params in TRUE.items():
        loss = LAW.predict(params, {"N": N, "D": D})[0]
        loss = loss * np.exp(0.0005 * rng.standard_normal(len(N)))
        tables.append(pd.DataFrame({"arm": arm, "N": N, "D": D, "seed": 0, "loss": loss}))
    return pd.concat(tables, ignore_index=True)


@pytest.fixture(scope="module")
def compared() -> ArmComparison:
    return analysis.compare_arms(runs(), resamples=40)


def test_each_recipe_has_the_best_split_of_its_own_law(compared) -> None:
    table = compared.splits
    assert set(table["C"]) == set(compared.multipliers["C"])
    for row in table[table["inside"]].itertuples():
        N, D = best_split(LAW, TRUE[row.arm][None], row.C)
        assert row.N == pytest.approx(N[0], rel=0.05) and row.D == pytest.approx(D[0], rel=0.05)
        assert 6 * row.N * row.D == pytest.approx(row.C)
        assert row.N_lower < row.N < row.N_upper and row.D_lower < row.D < row.D_upper
    # They differ between the recipes by more than their doubt: one row must not serve both.
    by_arm = table[table["C"] == budget_of_answer(compared)].set_index("arm")
    assert by_arm.loc["muon", "N_upper"] < by_arm.loc["adamw", "N_lower"]


def test_the_budget_of_the_answer_is_the_headlines_unless_one_was_asked_for(compared) -> None:
    table = compared.multipliers
    inside = table[table.groupby("C")["inside"].transform("all")]
    assert budget_of_answer(compared) == inside["C"].max()
    asked = with_splits(compared, [1e19, 3e19, 1e24])
    assert budget_of_answer(asked) == 3e19  # the largest inside the fitted range
    assert {1e19, 3e19, 1e24} < set(asked.splits["C"])
    far = with_splits(compared, [1e24])
    assert budget_of_answer(far) == 1e24
    said = splits_in_words(far)
    assert said.startswith("The best split of C = 1e+24: adamw N* = ")
    assert said.count("(extrapolated)") == 2 and "extrapolated" not in splits_in_words(asked)
    assert said.count(" to ") == 4  # N* and D* of each recipe have intervals
    assert any(line.startswith("C = 1e+24: adamw N* = ") for line in split_lines(far))
    assert "[[Best split of a budget]]" in compared.report()


def test_runs_on_one_line_tell_no_split_and_say_so() -> None:
    found = analysis.compare_arms(runs(of_a_line=True), resamples=0, shared=["alpha", "beta", "E"])
    assert found.splits.empty and np.isnan(budget_of_answer(found))
    assert "are not told" in splits_in_words(found) and split_lines(found) == []
    assert "Best split" not in found.report()


def test_the_parameters_of_each_recipe_stand_beside_each_other(compared) -> None:
    table = parameters_by_arm(compared)
    assert table["parameter"].tolist() == [name for name in LAW.names for _ in range(2)]
    for row in table.itertuples():
        true = TRUE[row.arm][LAW.names.index(row.parameter)]
        assert row.value_lower < row.value < row.value_upper
        assert row.value == compared.result.params[f"{row.parameter}[{row.arm}]"]
        assert row.value_lower * 0.8 < true < row.value_upper * 1.2
    shared = analysis.compare_arms(runs(), resamples=0, shared=["E"])
    floors = parameters_by_arm(shared).set_index("parameter").loc["E"]
    assert floors["arm"].tolist() == ["adamw", "muon"] and floors["value"].nunique() == 1
