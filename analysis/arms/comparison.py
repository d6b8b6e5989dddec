"""The result of a comparison of two recipes, and its text."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from scalinglab.analysis.arms.crossover import crossover
from scalinglab.analysis.arms.ladder import Ladder
from scalinglab.analysis.arms.pairs import Pairs
from scalinglab.analysis.arms.sentences import at_scale, paired, worth
from scalinglab.analysis.arms.splits import split_lines
from scalinglab.analysis.fitting.result import Result
from scalinglab.analysis.shown import Overview, Shown
from scalinglab.analysis.tables.typed import records_of

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_DOUBT = 0.05


@dataclass(frozen=True, repr=False)
class ArmComparison(Shown):
    """Two arms compared by their runs.

    Attributes
    ----------
    arms : (str, str)
        A, the baseline, and B.
    result : Result or None
        The law, with separate parameters for each arm; None if an arm has too few runs.
    pairs : Pairs
        Runs that differ in the arm alone.
    sharing : DataFrame
        One row per hypothesis: parameters with one value in both arms, the likelihood ratio, its
        degrees of freedom and ``p``, and ``held_out``, the mean absolute error of the largest size
        in a fit without it.
    scales : DataFrame
        One row per scale: ``C, N, D``, ``ratio`` (loss of B over that of A), ``better``
        (probability that B's is lower), ``speed_up``, ``equivalent_data``, all with ``_lower`` and
        ``_upper``; ``inside`` the fitted range of both arms.
    multipliers, verdicts : DataFrame
        Compute multipliers of B, and whether B saves compute; see
        `scalinglab.analysis.arms.multiplier`.
    crossover : dict
        ``C, lower, upper``, ``share`` of the resamples in which the laws cross, ``inside``, and
        ``towards``, the arm that is better beyond it; ``low, top``, the range of C measured in
        both, and the shares of the resamples that cross ``below``, ``within`` and ``above`` it;
        ``searched_low, searched_top``, the range of C that was searched.
    ladder : Ladder or None
        How N and D of all compared runs grow together; None where no law is fitted.
    ended, censored : dict
        Arm -> runs that came to their end; runs that diverged or were stopped.
    differences : DataFrame
        Which settings differ between paired runs, see `analysis.arm_settings`; empty if unknown.
    splits : DataFrame
        The best split of each budget for each recipe: ``C, arm, N, D`` with ``_lower`` and
        ``_upper``, and ``inside`` that recipe's fitted range; empty where runs do not tell it.
    asked : tuple of float
        Budgets that somebody asked for.
    warnings : tuple of str
    runs : DataFrame
        The compared runs, each arm at the best of its trials: ``arm, N, D, loss``, and ``run_id``
        where known.
    """

    arms: tuple[str, str]
    result: Result | None
    pairs: Pairs
    sharing: pd.DataFrame
    scales: pd.DataFrame
    multipliers: pd.DataFrame
    verdicts: pd.DataFrame
    crossover: dict[str, Any]
    ended: dict[str, int]
    censored: dict[str, int]
    differences: pd.DataFrame
    ladder: Ladder | None = None
    splits: pd.DataFrame = field(default_factory=pd.DataFrame)
    asked: tuple[float, ...] = ()
    warnings: tuple[str, ...] = ()
    runs: pd.DataFrame = field(default_factory=pd.DataFrame)

    @property
    def shown(self) -> Overview:
        """The two arms along the ladder and by their pairs; see `Shown`."""
        a, b = self.arms
        names = ("C", "N", "D", "ratio", "better", "equivalent_data")
        names_shown = [n + end for n in names for end in ("", "_lower", "_upper")]
        table = self.scales[[name for name in names_shown if name in self.scales]]
        sentences = (f"Paired runs: {paired(self)}", *(worth(self) if self.result else ()))
        tables = {"At the D/N of the runs": table} if len(table) else {}
        return Overview(f"{b} compared with {a} (baseline)", tables, sentences, self.warnings)

    def plot(self, *, ax: Axes | None = None) -> Axes:
        """The loss of B over that of A: paired runs, and both laws along the ladder."""
        return self._draw("arm_ratio", self, ax=ax)

    def report(self) -> str:
        """The comparison as text, in sections."""
        a, b = self.arms
        lines = [f"[[{b} compared with {a} (baseline)]]"]
        lines += [f"    {text}" for text in (*_settings(self), *_runs(self))]
        lines += ["[[Paired runs]]", f"    {paired(self)}"]
        if self.result is None:
            return "\n".join([*lines, *_warnings(self)])
        lines += ["[[Do the recipes share parameters?]]"]
        lines += [f"    {_sharing(row)}" for row in records_of(self.sharing)[1:]]
        lines += [f"[[Compute multiplier: compute of {a} over that of {b} at equal loss]]"]
        lines += [f"    {text}" for text in worth(self)]
        if len(self.splits):
            lines += ["[[Best split of a budget]]", *(f"    {text}" for text in split_lines(self))]
        lines += ["[[At the D/N of the runs]]"]
        lines += [f"    {at_scale(row, self.arms)}" for row in records_of(self.scales)]
        lines += [f"    {crossover(self)}"]
        return "\n".join([*lines, *_warnings(self)])


def _warnings(comparison: ArmComparison) -> list[str]:
    return (
        ["[[Warnings]]", *(f"    ! {text}" for text in comparison.warnings)]
        if comparison.warnings
        else []
    )


def _settings(comparison: ArmComparison) -> list[str]:
    a, b = comparison.arms
    return [
        f"{row.key}: {row.a} ({a}), {row.b} ({b})" + ("" if row.intended else " (also differs)")
        for row in comparison.differences.itertuples()
    ]


def _runs(comparison: ArmComparison) -> list[str]:
    lost = [f"{count} of {arm}" for arm, count in comparison.censored.items() if count]
    sentences = [
        ", ".join(
            f"{count} ended run{'s' * (count != 1)} of {arm}"
            for arm, count in comparison.ended.items()
        )
    ]
    return sentences + ([f"left out (diverged or stopped): {', '.join(lost)}"] if lost else [])


def _sharing(row: dict[str, Any]) -> str:
    verdict = "rejected" if row["p"] < _DOUBT else "not rejected"
    return (
        f"{row['shared']}: {verdict} (likelihood ratio {row['ratio']:.1f},"
        f" {_degrees(row['degrees'])}, p = {row['p']:.2g}; {_held_out(row)})"
    )


def _degrees(count: int) -> str:
    return f"{count} degree{'s' * (count != 1)} of freedom"


def _held_out(row: dict[str, Any]) -> str:
    error = row["held_out"]
    return (
        "largest size not predicted"
        if np.isnan(error)
        else f"error at the largest size {error:.2%}"
    )
