"""A comparison of arms as text."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    import pandas as pd

    from scalinglab.analysis.arms.comparison import ArmComparison

_DOUBT = 0.05
_SURE = 0.95
_LATE = 0.5  # of a run: what comes before tells little


def render(found: ArmComparison) -> str:
    """The comparison in sections."""
    a, b = found.arms
    lines = [f"[[B = {b} against A = {a}]]"]
    lines += [f"    {text}" for text in (*_settings(found), *_runs(found))]
    lines += ["[[Runs that differ in the arm alone]]", f"    {paired(found)}"]
    if found.result is None:
        return "\n".join([*lines, *_warnings(found)])
    lines += ["[[Do the arms share parameters?]]"]
    lines += [f"    {_sharing(row)}" for row in found.sharing.to_dict("records")[1:]]
    lines += ["[[Along the ladder]]"]
    lines += [f"    {at_scale(row, b)}" for row in found.scales.to_dict("records")]
    lines += [f"    {crossover(found)}"]
    return "\n".join([*lines, *_warnings(found)])


def _warnings(found: ArmComparison) -> list[str]:
    return ["[[Warnings]]", *(f"    ! {text}" for text in found.warnings)] if found.warnings else []


def _settings(found: ArmComparison) -> list[str]:
    return [
        f"{row.key}: {row.a} against {row.b}" + ("" if row.intended else " (not the arm)")
        for row in found.differences.itertuples()
    ]


def _runs(found: ArmComparison) -> list[str]:
    lost = [f"{count} of {arm}" for arm, count in found.censored.items() if count]
    said = [
        ", ".join(
            f"{count} ended run{'s' * (count != 1)} of {arm}" for arm, count in found.ended.items()
        )
    ]
    return said + ([f"diverged or stopped, and not fitted: {', '.join(lost)}"] if lost else [])


def paired(found: ArmComparison) -> str:
    """The mean ratio over pairs, in a sentence."""
    pairs = found.pairs
    if not len(pairs.table):
        return f"no two runs agree in {', '.join(pairs.by)}"
    many = "pair" if len(pairs.table) == 1 else "pairs"
    text = f"{len(pairs.table)} {many}, loss of B {pairs.ratio - 1:+.2%} of A's"
    if np.isfinite(pairs.lower):
        text += f" ({pairs.lower - 1:+.2%} to {pairs.upper - 1:+.2%})"
    better = (pairs.table["ratio"] < 1).mean()
    return f"{text}; B is lower in {better:.0%} of them (same {', '.join(pairs.by)})"


def _sharing(row: dict[str, Any]) -> str:
    verdict = "rejected" if row["p"] < _DOUBT else "not rejected"
    return (
        f"{row['shared']}: {verdict} (ratio {row['ratio']:.1f} of {row['degrees']} degrees,"
        f" p {row['p']:.2g}; {_held_out(row)})"
    )


def _held_out(row: dict[str, Any]) -> str:
    error = row["held_out"]
    return "largest size not tried" if np.isnan(error) else f"largest size {error:.2%} off"


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
    where = "" if row["inside"] else ", outside what was measured"
    sure = _probability(row["better"])
    return (
        f"C = {row['C']:.3g} (N {row['N']:.3g}, D {row['D']:.3g}{where}): loss"
        f" {row['ratio'] - 1:+.2%}{_between(row)}, {b} better with probability {sure};"
        f" speed-up {_times(row, 'speed_up')}, its data worth {_times(row, 'equivalent_data')}"
    )


def _times(row: dict[str, Any], name: str) -> str:
    def one(value: float) -> str:
        return "no end" if np.isinf(value) else f"{value:.3g}"

    between = f" ({one(row[f'{name}_lower'])} to {one(row[f'{name}_upper'])})"
    return f"{one(row[name])}x" + ("" if np.isnan(row[f"{name}_lower"]) else between)


def crossover(found: ArmComparison) -> str:
    """Where the laws cross, in a sentence."""
    crossed, (a, b) = found.crossover, found.arms
    share = crossed["share"]
    if np.isnan(crossed["C"]):
        rest = f" (they do in {share:.0%} of the resamples)" if share > 1 - _SURE else ""
        return f"the laws do not cross within reach: {_better_everywhere(found)}{rest}"
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
        f"the laws cross at C = {crossed['C']:.3g}{interval}, {where} what was measured; beyond it"
        f" {name} is better"
    )


def _better_everywhere(found: ArmComparison) -> str:
    return f"{found.arms[1] if found.crossover['towards'] == 'B' else found.arms[0]} is better"


def of_curves(curves: pd.DataFrame) -> str:
    """Whole curves of paired runs, in a few lines."""
    late = curves[curves["share"] >= _LATE]
    pairs = curves.groupby(["run_a", "run_b"]).ngroups
    below = (late["ratio"] < 1).mean()
    lines = [
        "[[Whole curves]]",
        f"    {pairs} pairs with one schedule, {len(curves)} steps at which both were measured",
        f"    in the second half B's loss is {late['ratio'].mean() - 1:+.2%} of A's, and lower at"
        f" {below:.0%} of the steps",
    ]
    known = late["speed_up"].dropna()
    if len(known):
        lines.append(f"    before the cooldown B is where A comes {known.median():.3g}x later")
    return "\n".join(lines)
