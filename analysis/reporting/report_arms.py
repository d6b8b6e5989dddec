"""Sections of the report on two compared recipes."""

from __future__ import annotations

from typing import TYPE_CHECKING

from scalinglab.analysis.arms.names import titled
from scalinglab.analysis.arms.sentences import (
    at_best_splits,
    at_scale,
    how_worth,
    sharing_in_words,
)
from scalinglab.analysis.arms.splits import floor_of_splits
from scalinglab.analysis.reporting.arm_tables import (
    multiplier_table,
    pairs_table,
    parameters_table,
    sharing_table,
    splits_table,
    trend_table,
)
from scalinglab.analysis.reporting.cells import columns_of
from scalinglab.analysis.reporting.law_in_words import how_fitted
from scalinglab.analysis.reporting.page import Details, Section
from scalinglab.analysis.reporting.report_figures import other_arm_figures
from scalinglab.analysis.tables.latex import latex
from scalinglab.analysis.tables.typed import records_of

if TYPE_CHECKING:
    import pandas as pd

    from scalinglab.analysis.arms.comparison import ArmComparison
    from scalinglab.analysis.reporting.outlook import Outlook


def arms_sections(outlook: Outlook | None) -> list[Section]:
    """Two arms compared: what compute is worth, best splits, laws, the trend, pairs."""
    comparison = None if outlook is None else outlook.arms
    if comparison is None:
        return []
    a, b = titled(comparison.arms)
    against = f"{b} against {a}"
    parts = []
    if comparison.result is not None:
        parts = [
            Section(
                f"How much more compute {a} needs for the loss of {b}",
                how_worth(comparison),
                [multiplier_table(comparison)],
            ),
            *_splits(comparison),
            _laws(comparison),
            Section(
                "Do the recipes share parameters?",
                f"{sharing_in_words(comparison.sharing)} A small p rejects sharing.",
                [sharing_table(comparison.sharing)],
            ),
            Section(
                f"{against} at the D/N of the runs",
                _how_compared(comparison),
                [trend_table(comparison)],
            ),
        ]
    if len(comparison.differences):
        baseline, candidate = comparison.arms
        named = {"a": baseline, "b": candidate, "intended": "the arm"}
        differences = comparison.differences.rename(columns=named)
        parts.append(Section("What differs between the arms", tables=[differences]))
    figures = other_arm_figures(comparison)
    pairs = [pairs_table(comparison)]
    parts.append(Section(f"{against}: pairs", _what_a_pair_is(comparison), pairs, figures))
    return parts


def arms_in_latex(outlook: Outlook | None) -> list[str]:
    """The laws of two arms, the verdicts, the tests of what they share, and pairs, for a paper."""
    comparison = None if outlook is None else outlook.arms
    if comparison is None:
        return []
    a, b = titled(comparison.arms)
    tables: dict[str, pd.DataFrame] = {}
    if comparison.result is not None:
        law = comparison.result.law.name
        tables[f"{law} fitted to the runs of {a} and of {b}"] = parameters_table(comparison)
        tables[f"Compute that {a} needs for the loss of {b}, over that of {b}"] = multiplier_table(
            comparison
        )
        if len(comparison.splits):
            tables[f"Best splits of compute budgets for {a} and {b}"] = splits_table(comparison)
        tables[f"Hypotheses of what the laws of {a} and {b} share"] = sharing_table(
            comparison.sharing
        )
    if len(comparison.pairs.table):
        tables[f"Paired runs of {a} and {b}"] = pairs_table(comparison)
    return [
        latex(table, caption, [column.texts for column in columns_of(table, len(table))])
        for caption, table in tables.items()
    ]


def _splits(comparison: ArmComparison) -> list[Section]:
    """N* and D* of each recipe; that the runs do not tell them stands beside the headline."""
    title = "The best split of a budget for each recipe"
    if comparison.splits.empty:
        return []
    text = (
        f"N* parameters and D* tokens of least loss at each C, by a law for each recipe"
        f" {floor_of_splits(comparison)}".rstrip()
        + ". Outside its fitted range a recipe's split is extrapolated."
    )
    return [Section(title, text, [splits_table(comparison)])]


def _laws(comparison: ArmComparison) -> Section:
    """The parameters by which all of this is answered."""
    result = comparison.result
    assert result is not None
    names = ", ".join(result.settings["shared"])
    own = " with own floors" if comparison.multipliers["floor"].nunique() > 1 else ""
    what = "Best splits and multipliers" if len(comparison.splits) else "Multipliers"
    shared = f" Given as shared by both: {names}." if names else ""
    text = (
        f"{result.law.formula} ({result.law.source}), fitted to {result.points} runs with parameters"
        f" for each recipe. {what}{own} are by this law.{shared}"
    )
    return Section(
        f"The law of each recipe: {result.law.name}",
        text,
        [parameters_table(comparison)],
        details=Details("How it was fitted", "", None, how_fitted(result)),
    )


def _how_compared(comparison: ArmComparison) -> str:
    """What the table along the ladder has beside the multipliers."""
    a, b = comparison.arms
    text = (
        "N and D grow together with C as they do in the runs. Both fitted ranges hold for these N"
        " and D together, so they are narrower than those of all runs. Loss difference: the loss of"
        f" {b} over that of {a}, minus one."
    )
    measured = records_of(comparison.scales[comparison.scales["inside"].astype(bool)])
    if measured:
        text += f" At {at_scale(measured[-1], comparison.arms)}."
    if at_best_splits(comparison):
        text += " These N and D are not the best splits above, so compute multipliers along them differ."
    return text


def _what_a_pair_is(comparison: ArmComparison) -> str:
    by = ", ".join(comparison.pairs.by)
    if not len(comparison.pairs.table):
        return f"No two runs share {by}."
    a, b = comparison.arms
    return (
        f"Each row is a pair of runs, one of each recipe, with the same {by}. Loss difference: the"
        f" loss of {b} over that of {a}, minus one."
    )
