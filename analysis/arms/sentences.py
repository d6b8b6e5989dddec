"""What a comparison of two recipes says, in sentences and texts of numbers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from scalinglab.analysis.arms.multiplier import BEST, COSTS, NONE, ONE, OWN, SAVES
from scalinglab.analysis.tables.powers import short
from scalinglab.analysis.tables.typed import records_of

if TYPE_CHECKING:
    from scalinglab.analysis.arms.comparison import ArmComparison

_FLOOR = "The floor is the loss that no size and no amount of data goes below"
_SPLITS = {
    True: "If each budget were trained at its best split of N and D",
    False: "At the D/N of the runs (the runs do not tell the best splits)",
}
_FLOORS = {
    OWN: " if each has a floor of its own",
    ONE: " if both have one floor",
    NONE: "",
}
_BY_FLOOR = ": it depends on the floor"
_NEAR = ": an interval ends at 1 within the error of so few resamples (resamples=)"
_RARE = 0.05  # share of the resamples, up to which a crossing is excluded


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


def probability(value: float) -> str:
    """A probability from resamples, which tell none from 0 or 1."""
    if np.isnan(value):
        return "unknown"
    if 0.01 <= value <= 0.99:
        return f"{value:.2f}"
    return "above 0.99" if value > 0.5 else "below 0.01"


def at_scale(row: dict[str, Any], b: str) -> str:
    """One scale, in a sentence."""
    where = "" if row["inside"] else ", beyond what was measured of both"
    return (
        f"C = {row['C']:.3g} at the D/N of the runs (N {short(row['N'])}, D"
        f" {short(row['D'])}{where}): {b}'s loss is {_than(row['ratio'])}{_between(row)}; compute"
        f" speed-up {_times(row, 'speed_up')}, data efficiency {_times(row, 'equivalent_data')}"
    )


def _between(row: dict[str, Any]) -> str:
    """The interval of a ratio of losses, and the probability of its sign."""
    if np.isnan(row["ratio_lower"]):
        return ""
    interval = _without_signs(row["ratio_lower"] - 1, row["ratio_upper"] - 1)
    way, sure = ("lower", row["better"]) if row["ratio"] < 1 else ("higher", 1 - row["better"])
    return f" ({interval}; {way} with probability {probability(sure)})"


def times(value: float) -> str:
    """A multiplier; infinite ones have no bound."""
    return "unbounded" if np.isinf(value) else f"{value:.3g}"


def percent_of(ratio: float) -> str:
    """By how much a ratio of losses differs from one, with its sign."""
    return f"{ratio - 1:+.2%}"


def _times(row: dict[str, Any], name: str) -> str:
    between = f" ({times(row[f'{name}_lower'])} to {times(row[f'{name}_upper'])})"
    return f"{times(row[name])}x" + ("" if np.isnan(row[f"{name}_lower"]) else between)


def worth(comparison: ArmComparison) -> list[str]:
    """How budgets are split, then the compute multiplier at each scale, one sentence each."""
    table, b = comparison.multipliers, comparison.arms[1]
    title = _SPLITS[at_best_splits(comparison)]
    lines = [f"{title}. {_FLOOR}:" if _has_floor(comparison) else f"{title}:"]
    for verdict in records_of(comparison.verdicts):
        rows = table[table["C"] == verdict["C"]]
        each = [f"{_multiplier(row)}{_FLOORS[row['floor']]}" for row in records_of(rows)]
        # Also in size and tokens, and of each recipe at its own place.
        where = "" if rows["inside"].all() else ", beyond what was measured of both"
        conclusion = {SAVES: f"{b} saves compute", COSTS: f"{b} costs compute"}.get(
            verdict["verdict"]
        )
        reason = _NEAR if verdict["near"] else "" if verdict["agree"] else _BY_FLOOR
        conclusion = conclusion or f"cannot tell{reason}"
        lines.append(f"C = {verdict['C']:.3g}{where}: {', '.join(each)}; {conclusion}")
    return lines


def _multiplier(row: dict[str, Any]) -> str:
    share = row["censored"]
    text = _times(row, "multiplier")
    if not share > 0:
        return text
    return f"{text}, unbounded in {share:.{0 if share >= 0.01 else 2}%} of the resamples"


def at_best_splits(comparison: ArmComparison) -> bool:
    """Whether multipliers are at the best splits of N and D, not along the ladder of the runs."""
    return bool((comparison.multipliers["split"] == BEST).all())


def _has_floor(comparison: ArmComparison) -> bool:
    return bool((comparison.multipliers["floor"] != NONE).any())


def how_worth(comparison: ArmComparison) -> str:
    """How to read a table of multipliers, in a paragraph."""
    sentences = [f"{_SPLITS[False]}."]
    if at_best_splits(comparison):
        sentences = [
            "Here each budget is trained at its best split of N and D. The runs have other N and D:"
            " the next section has the speed-up at their D/N."
        ]
    sentences.append("Where not both were measured, the multiplier is extrapolated.")
    if _has_floor(comparison):
        sentences.append(f"{_FLOOR}.")
    if comparison.multipliers["floor"].nunique() > 1:
        sentences.append(
            "Each C has two rows: a law in which each recipe has its own floor, and one in which"
            " both have one floor. Compute is saved, or costs more, only if both rows say so."
        )
    if comparison.verdicts["near"].any():
        sentences.append(
            "Too few resamples: an interval ends at 1 within its error from the number of"
            " resamples, and decides nothing; take more (resamples=)."
        )
    return " ".join(sentences)


def crossover(comparison: ArmComparison) -> str:
    """Where the laws cross, in a sentence."""
    crossed, (a, b) = comparison.crossover, comparison.arms
    share = crossed["share"]
    if np.isnan(crossed["C"]):
        return _no_crossing(crossed, b if crossed["towards"] == "B" else a)
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


def _no_crossing(crossed: dict[str, Any], better: str) -> str:
    """What the laws say where those of the best fit do not cross."""
    share, within = crossed["share"], crossed["within"]
    if not share > _RARE:
        return f"the laws do not cross in the range searched: {better} is better throughout"
    if within > _RARE:
        return (
            f"{better} is better throughout in the best fit, but a crossing cannot be excluded"
            f" ({share:.0%} of the resamples, {within:.0%} within the measured compute)"
        )
    low, top = crossed["low"], crossed["top"]
    if np.isnan(low):
        return (
            f"{better} is better throughout in the best fit, but no compute was measured in both"
            f" arms and a crossing cannot be excluded ({share:.0%} of the resamples)"
        )
    if crossed["below"] <= _RARE < crossed["above"]:
        where, share = f"beyond C = {top:.3g}", crossed["above"]
    elif crossed["above"] <= _RARE < crossed["below"]:
        where, share = f"below C = {low:.3g}", crossed["below"]
    else:
        where = f"outside C = {low:.3g} to {top:.3g}"
    return (
        f"{better} is better wherever both were measured; {where} a crossing cannot be excluded"
        f" ({share:.0%} of the resamples)"
    )
