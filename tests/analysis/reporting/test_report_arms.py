"""What a page says of two recipes: tables, captions, and the one law that is folded away."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

from scalinglab import analysis
from scalinglab.analysis.arms.comparison import ArmComparison
from scalinglab.analysis.plot.layers import layers
from scalinglab.analysis.plot.speed_up_figure import goes_on
from scalinglab.analysis.plot.speed_up_figure import speed_up as draw
from scalinglab.analysis.reporting import arm_captions
from scalinglab.analysis.reporting.arm_tables import (
    multiplier_table,
    pairs_table,
    parameters_table,
    splits_table,
    trend_table,
)
from scalinglab.analysis.reporting.report_arms import arms_sections

LONG = "muon with a long name"


@pytest.fixture(scope="module")
def compared() -> ArmComparison:
    N, D = (x.ravel() for x in np.meshgrid(np.geomspace(1e7, 1e9, 5), np.geomspace(1e9, 1e11, 4)))
    rng, tables = np.random.default_rng(2), []
    for arm, ratio in (("adamw", 1.0), ("muon", 0.985)):
        loss = ratio * (1.7 + 400 / N**0.34 + 1800 / D**0.37)
        loss = loss * np.exp(0.004 * rng.standard_normal(len(N)))
        tables.append(pd.DataFrame({"arm": arm, "N": N, "D": D, "loss": loss}))
    with pytest.MonkeyPatch.context() as patch:
        tests = pd.DataFrame(
            {
                "shared": ["nothing", "everything: one recipe"],
                "ratio": [0.0, 90.0],
                "degrees": [0, 5],
                "p": [np.nan, 1e-9],
                "held_out": 0.001,
            }
        )
        patch.setattr("scalinglab.analysis.arms.compare_arms.sharing_tests", lambda *_: tests)
        return analysis.compare_arms(pd.concat(tables, ignore_index=True), resamples=40)


def test_columns_have_the_recipes_names_and_no_letters_of_coefficients(compared) -> None:
    tables = [f(compared) for f in (multiplier_table, splits_table, trend_table, pairs_table)]
    headings = [name for table in tables for name in table]
    assert not [name for name in headings if {"A", "B"} & set(name.split())], headings
    assert {"N* of adamw", "D* of adamw", "N* of muon", "D* of muon"} < set(tables[1])
    assert {"multiplier, own floors", "multiplier, one floor"} < set(tables[0])
    # N and D without a recipe would leave open whose split they are.
    assert not {"N", "D"} & set(tables[0])
    assert {"loss of adamw", "loss of muon"} < set(tables[3])
    assert all("(" in text for text in splits_table(compared)["N* of muon"])


def test_long_names_are_roles_in_columns_and_headings_say_which_is_which(compared) -> None:
    long = replace(compared, arms=("adamw", LONG))
    assert {"loss of baseline", "loss of candidate"} < set(pairs_table(long))
    splits = replace(long, splits=compared.splits.replace({"arm": {"muon": LONG}}))
    assert {"N* of baseline", "D* of candidate"} < set(splits_table(splits))
    caption = arm_captions.pairs(long)
    assert f"{LONG} (candidate)" in caption and "adamw (baseline)" in caption


def test_the_parameters_of_each_recipe_are_a_table_of_the_page(compared) -> None:
    table = parameters_table(compared)
    assert list(table)[:4] == ["parameter", "adamw", "muon", "identified"]
    assert table["parameter"].tolist() == ["E", "A", "alpha", "B", "beta"]
    assert all(" to " in text for text in [*table["adamw"], *table["muon"]])
    assert set(table["identified"]) == {"yes"}
    diagnosis = replace(compared.result.diagnosis, unidentified={"B[muon]": "wide"})
    one = replace(compared, result=replace(compared.result, diagnosis=diagnosis))
    assert parameters_table(one).set_index("parameter").loc["B", "identified"] == "adamw only"
    sections = {part.title: part for part in arms_sections(SimpleNamespace(arms=compared))}
    law = sections["The law of each recipe: chinchilla"]
    assert law.tables[0].equals(table) and "corr(" in law.details.listing
    assert "The best split of a budget for each recipe" in sections


def test_the_line_of_multipliers_is_that_of_the_table(compared) -> None:
    """A third multiplier, which no table had, lay beside the marks."""
    ax = draw(compared)
    (line,) = [layer for layer in layers(ax) if layer.kind == "line"]
    own = compared.multipliers[compared.multipliers["floor"] == "own"]
    for row in own.itertuples():
        at = line.table.iloc[(line.table["C"] / row.C - 1).abs().argmin()]
        assert at["C"] == pytest.approx(row.C)
        assert at["multiplier"] == pytest.approx(row.multiplier)
        assert at["multiplier_upper"] == pytest.approx(row.multiplier_upper)
    assert len(line.table) > 20 and not hasattr(line.table, "speed_up")


def test_captions_say_what_line_band_marks_and_arrows_are(compared) -> None:
    caption = arm_captions.pairs(compared)
    assert "Line with its interval: the ratio of the two laws" in caption
    assert "whose D/N is 1 to 10,000," in caption and "may lie outside" in caption
    alone = replace(compared, result=None)
    assert "Line" not in arm_captions.pairs(alone) and "Lines" not in arm_captions.losses(alone)
    plain = arm_captions.multiplier(compared, False)
    assert "stand side by side" in plain and "arrow" not in plain
    assert "arrow goes on" in arm_captions.multiplier(compared, True)
    one = compared.multipliers[compared.multipliers["floor"] == "own"]
    assert "side by side" not in arm_captions.multiplier(replace(compared, multipliers=one), False)


def test_an_interval_beyond_the_frame_is_found(compared) -> None:
    ax = draw(compared)
    ends = compared.multipliers["multiplier_upper"]
    ax.set_ylim(0.01, 2 * ends.max())
    assert not goes_on(ax)
    ax.set_ylim(0.01, 0.9 * ends.max())
    assert goes_on(ax)
