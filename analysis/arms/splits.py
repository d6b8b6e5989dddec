"""The best split of a budget for each of two compared recipes, and the parameters of its law."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from scalinglab.analysis.arms.both_arms import measured_by_arm
from scalinglab.analysis.arms.multiplier import NONE, OWN
from scalinglab.analysis.arms.scale import law_of_arm
from scalinglab.analysis.arms.sentences import at_best_splits, largest_measured
from scalinglab.analysis.decisions.optimum import best_split
from scalinglab.analysis.intervals.spread import values_with_intervals
from scalinglab.analysis.laws.arms import ArmLaw
from scalinglab.analysis.tables.interval_text import value_text
from scalinglab.analysis.tables.powers import short
from scalinglab.analysis.tables.typed import records_of

if TYPE_CHECKING:
    from scalinglab.analysis.arms.comparison import ArmComparison

_NOT_TOLD = (
    "The best N and D of a budget are not told: the runs of a recipe do not determine them (N and D"
    " grow together, or the best D/N lies far from the measured ones)."
)


def splits_by_arm(comparison: ArmComparison, budgets: Sequence[float]) -> pd.DataFrame:
    """N* and D* of each recipe, by the law that has separate parameters for it.

    Parameters
    ----------
    comparison : ArmComparison
    budgets : sequence of float
        C = 6 N D, in FLOPs.

    Returns
    -------
    DataFrame
        One row per budget and recipe: ``C, arm, N, D``, with ``_lower`` and ``_upper`` of N and D
        where the fit has resamples, and ``inside`` the fitted range of that recipe. Empty where no
        law is fitted, or the runs do not determine best splits.
    """
    result, arms = comparison.result, comparison.arms
    if result is None or not len(comparison.multipliers) or not at_best_splits(comparison):
        return pd.DataFrame()
    measured = measured_by_arm(comparison.runs.rename(columns={"arm": "_arm"}), arms)
    level, rows = result.settings["level"], []
    for cost in sorted(set(budgets)):
        for arm, fitted_range in zip(arms, measured, strict=True):
            law, params = law_of_arm(result, arm)
            N, D = best_split(law, params, cost)
            ends = values_with_intervals({"N": N, "D": D}, level, resampled=len(params) > 1)
            inside = bool(fitted_range.inside({"N": N[:1], "D": D[:1]})[0])
            rows.append({"C": cost, "arm": arm, **ends, "inside": inside})
    return pd.DataFrame(rows)


def with_splits(comparison: ArmComparison, asked: Sequence[float]) -> ArmComparison:
    """A comparison with the best splits of the budgets `asked` and of those of its multipliers."""
    budgets = [*asked, *comparison.multipliers.get("C", ())]
    return replace(comparison, asked=tuple(asked), splits=splits_by_arm(comparison, budgets))


def budget_of_answer(comparison: ArmComparison) -> float:
    """The budget whose splits are told first; NaN if there is none.

    The largest that was asked for and lies inside the fitted range of both recipes; the largest
    asked for if none does; without any, the largest compute whose multiplier is measured.
    """
    if comparison.splits.empty:
        return np.nan
    table = comparison.splits
    inside = set(table["C"]) - set(table["C"][~table["inside"].astype(bool)])
    if asked := set(comparison.asked):
        return float(max(asked & inside or asked))
    measured = largest_measured(comparison)
    if np.isfinite(measured):
        return measured
    return float(max(inside) if inside else table["C"].min())


def splits_in_words(comparison: ArmComparison) -> str:
    """The best split of the answer's budget for each recipe, in a sentence; empty without laws."""
    if comparison.result is None:
        return ""
    cost = budget_of_answer(comparison)
    if np.isnan(cost):
        return _NOT_TOLD
    table = comparison.splits
    listed = [_split_text(row) for row in records_of(table[table["C"] == cost])]
    return f"The best split of C = {cost:.3g}: {'; '.join(listed)}."


def split_lines(comparison: ArmComparison) -> list[str]:
    """The best split of every budget for each recipe, a line each."""
    return [
        f"C = {cost:.3g}: {'; '.join(_split_text(row) for row in records_of(rows))}"
        for cost, rows in (
            comparison.splits.groupby("C", sort=True) if len(comparison.splits) else ()
        )
    ]


def _split_text(row: dict[str, Any]) -> str:
    if np.isnan(row["N"]):
        return f"{row['arm']} has no best split"
    N, D = (value_text(row, name, short) for name in ("N", "D"))
    far = "" if row["inside"] else " (extrapolated)"
    return f"{row['arm']} N* = {N} parameters, D* = {D} tokens{far}"


def parameters_by_arm(comparison: ArmComparison) -> pd.DataFrame:
    """The parameters of each recipe's law beside each other.

    Returns
    -------
    DataFrame
        One row per parameter of the plain law and recipe: ``parameter, arm, value, value_lower,
        value_upper, identified, unit, meaning``; a shared parameter has one value in both.
    """
    result = comparison.result
    assert result is not None and isinstance(result.law, ArmLaw)
    law, summary, rows = result.law, result.summary, []
    for parameter in law.of_one_arm.parameters:
        for k, arm in enumerate(law.arms):
            place = law.place(k)[law.of_one_arm.names.index(parameter.name)]
            row = summary.iloc[int(place)]
            rows.append(
                {
                    "parameter": parameter.name,
                    "arm": arm,
                    "value": row["value"],
                    "value_lower": row["lower"],
                    "value_upper": row["upper"],
                    "identified": bool(row["identified"]),
                    "unit": parameter.unit,
                    "meaning": parameter.meaning,
                }
            )
    return pd.DataFrame(rows)


def floor_of_splits(comparison: ArmComparison) -> str:
    """Which law the splits are of, as far as its floor goes: ``with a floor of its own``."""
    floor = comparison.multipliers["floor"].iloc[0]
    return {OWN: "with a floor of its own", NONE: ""}.get(floor, "with one floor for both")
