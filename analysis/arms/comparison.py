"""The result of a comparison of two recipes, and its text."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from scalinglab.analysis.arms.multiplier import BEST, COSTS, NONE, ONE, OWN, SAVES
from scalinglab.analysis.arms.pairs import Pairs
from scalinglab.analysis.arms.scale import Ladder
from scalinglab.analysis.fitting.result import Result
from scalinglab.analysis.shown import Overview, Shown
from scalinglab.analysis.tables.powers import short
from scalinglab.analysis.tables.typed import records_of

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_NO_SPLIT = "Along the ladder's own N and D (the runs do not tell the best splits):"
_FLOORS = {
    OWN: " if each has a floor of its own",
    ONE: " if both have one floor",
    NONE: "",
}
_DOUBT = 0.05
_SURE = 0.95


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
        ``_upper``; ``inside`` the range measured in both arms.
    multipliers, verdicts : DataFrame
        Compute multipliers of B, and whether B saves compute; see
        `scalinglab.analysis.arms.multiplier`.
    crossover : dict
        ``C, lower, upper``, ``share`` of the resamples in which the laws cross, ``inside``, and
        ``towards``, the arm that is better beyond it.
    ladder : Ladder or None
        How N and D of all compared runs grow together; None where no law is fitted.
    ended, censored : dict
        Arm -> runs that came to their end; runs that diverged or were stopped.
    differences : DataFrame
        Which settings differ between paired runs, see `analysis.arm_settings`; empty if unknown.
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
    warnings: tuple[str, ...] = ()
    runs: pd.DataFrame = field(default_factory=pd.DataFrame)

    @property
    def shown(self) -> Overview:
        """The two arms along the ladder and by their pairs; see `Shown`."""
        a, b = self.arms
        names = ("C", "N", "D", "ratio", "better", "speed_up", "equivalent_data")
        names_shown = [n + end for n in names for end in ("", "_lower", "_upper")]
        table = self.scales[[name for name in names_shown if name in self.scales]]
        sentences = (f"Paired runs: {paired(self)}", *(worth(self) if self.result else ()))
        tables = {"Along the ladder": table} if len(table) else {}
        return Overview(f"{b} (B) compared with {a} (A)", tables, sentences, self.warnings)

    def plot(self, *, ax: Axes | None = None) -> Axes:
        """The loss of B over that of A: paired runs, and both laws along the ladder."""
        return self._draw("arm_ratio", self, ax=ax)

    def report(self) -> str:
        """The comparison as text, in sections."""
        a, b = self.arms
        lines = [f"[[{b} (B) compared with {a} (A)]]"]
        lines += [f"    {text}" for text in (*_settings(self), *_runs(self))]
        lines += ["[[Paired runs]]", f"    {paired(self)}"]
        if self.result is None:
            return "\n".join([*lines, *_warnings(self)])
        lines += ["[[Do the arms share parameters?]]"]
        lines += [f"    {_sharing(row)}" for row in records_of(self.sharing)[1:]]
        lines += [f"[[What the compute of {b} is worth in that of {a}]]"]
        lines += [f"    {text}" for text in worth(self)]
        lines += ["[[Along the ladder]]"]
        lines += [f"    {at_scale(row, b)}" for row in records_of(self.scales)]
        lines += [f"    {crossover(self)}"]
        return "\n".join([*lines, *_warnings(self)])


def _warnings(comparison: ArmComparison) -> list[str]:
    return (
        ["[[Warnings]]", *(f"    ! {text}" for text in comparison.warnings)]
        if comparison.warnings
        else []
    )


def _settings(comparison: ArmComparison) -> list[str]:
    return [
        f"{row.key}: {row.a} (A), {row.b} (B)" + ("" if row.intended else " (also differs)")
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


def paired(comparison: ArmComparison) -> str:
    """The mean ratio over pairs, in a sentence."""
    pairs = comparison.pairs
    if not len(pairs.table):
        return f"no pairs: no two runs share {', '.join(pairs.by)}"
    noun = "pair" if len(pairs.table) == 1 else "pairs"
    a, b = comparison.arms
    text = f"{b}'s loss is {_than(pairs.ratio)} than {a}'s"
    if np.isfinite(pairs.lower):
        text += f" ({_without_signs(pairs.lower - 1, pairs.upper - 1)})"
    better = (pairs.table["ratio"] < 1).mean()
    count = f"{len(pairs.table)} {noun} with the same {', '.join(pairs.by)}"
    near = f" (N within {pairs.apart:.1%})" if pairs.apart > 0 else ""
    often = {1.0: "all", 0.0: "none"}.get(better, f"{better:.0%}")
    return f"{text} over {count}{near}, and lower in {often} of them"


def _without_signs(lower: float, upper: float) -> str:
    """The ends of a difference beside "lower" or "higher"; with signs where they differ."""
    if lower * upper <= 0:
        return f"{lower:+.2%} to {upper:+.2%}"
    near, far = sorted((abs(lower), abs(upper)))
    return f"{near:.2%} to {far:.2%}"


def _than(ratio: float) -> str:
    return f"{abs(ratio - 1):.2%} {'lower' if ratio < 1 else 'higher'}"


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


def _between(row: dict[str, Any]) -> str:
    if np.isnan(row["ratio_lower"]):
        return ""
    return f" ({row['ratio_lower'] - 1:+.2%} to {row['ratio_upper'] - 1:+.2%})"


def _probability(value: float) -> str:
    if np.isnan(value):
        return "unknown"
    if 0.01 <= value <= 0.99:
        return f"{value:.2f}"
    return "above 0.99" if value > 0.5 else "below 0.01"


def at_scale(row: dict[str, Any], b: str) -> str:
    """One scale, in a sentence."""
    where = "" if row["inside"] else ", outside the measured compute"
    sure = _probability(row["better"])
    return (
        f"C = {row['C']:.3g} (N {short(row['N'])}, D {short(row['D'])}{where}): {b}'s loss"
        f" {row['ratio'] - 1:+.2%}{_between(row)}, lower with probability {sure};"
        f" compute speed-up {_times(row, 'speed_up')}, data efficiency"
        f" {_times(row, 'equivalent_data')}"
    )


def _times(row: dict[str, Any], name: str) -> str:
    def one(value: float) -> str:
        return "unbounded" if np.isinf(value) else f"{value:.3g}"

    between = f" ({one(row[f'{name}_lower'])} to {one(row[f'{name}_upper'])})"
    return f"{one(row[name])}x" + ("" if np.isnan(row[f"{name}_lower"]) else between)


def worth(comparison: ArmComparison) -> list[str]:
    """How budgets are split, then the compute multiplier at each scale, one sentence each."""
    table, b = comparison.multipliers, comparison.arms[1]
    best = (table["split"] == BEST).all()
    lines = ["At the best split of each compute:" if best else _NO_SPLIT]
    for verdict in records_of(comparison.verdicts):
        rows = table[table["C"] == verdict["C"]]
        each = [f"{_multiplier(row)}{_FLOORS[row['floor']]}" for row in records_of(rows)]
        # Also in size and tokens, and of each recipe at its own place.
        where = "" if rows["inside"].all() else ", where not both were measured"
        conclusion = {SAVES: f"{b} saves compute", COSTS: f"{b} costs compute"}.get(
            verdict["verdict"]
        )
        reason = "" if verdict["agree"] else ": it depends on the floor"
        conclusion = conclusion or f"cannot tell{reason}"
        lines.append(f"C = {verdict['C']:.3g}{where}: {', '.join(each)}; {conclusion}")
    return lines


def _multiplier(row: dict[str, Any]) -> str:
    share = row["censored"]
    text = _times(row, "multiplier")
    if not share > 0:
        return text
    return f"{text}, unbounded in {share:.{0 if share >= 0.01 else 2}%} of the resamples"


def crossover(comparison: ArmComparison) -> str:
    """Where the laws cross, in a sentence."""
    crossed, (a, b) = comparison.crossover, comparison.arms
    share = crossed["share"]
    if np.isnan(crossed["C"]):
        caveat = f" (they cross in {share:.0%} of the resamples)" if share > 1 - _SURE else ""
        return (
            f"the laws do not cross in the range searched: {_better_everywhere(comparison)}{caveat}"
        )
    where = "inside" if crossed["inside"] else "outside"
    name = b if crossed["towards"] == "B" else a
    interval = (
        ""
        if np.isnan(share)
        else (
            f" ({crossed['lower']:.3g} to {crossed['upper']:.3g}, in {share:.0%} of the resamples)"
        )
    )
    return (
        f"the laws cross at C = {crossed['C']:.3g}{interval}, {where} the measured compute; above"
        f" it {name} is better"
    )


def _better_everywhere(comparison: ArmComparison) -> str:
    a, b = comparison.arms
    return f"{b if comparison.crossover['towards'] == 'B' else a} is better throughout"
