"""What a comparison of two recipes says, in sentences and texts of numbers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from scalinglab.analysis.arms.multiplier import BEST, NARROWLY, NONE, ONE, OWN, UNKNOWN, in_words
from scalinglab.analysis.tables.interval_text import three_digits
from scalinglab.analysis.tables.powers import short
from scalinglab.analysis.tables.typed import records_of

if TYPE_CHECKING:
    import pandas as pd

    from scalinglab.analysis.arms.comparison import ArmComparison

_FLOOR_MEANS = "the loss that no size and no amount of data goes below"
_FLOOR = f"The floor is {_FLOOR_MEANS}"
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
_OUTSIDE = "extrapolated"  # not inside the fitted range of both recipes
_MORE = 5  # times the resamples, that may decide where few are too few


def paired(comparison: ArmComparison) -> str:
    """The mean ratio over pairs, in a sentence."""
    pairs = comparison.pairs
    if not len(pairs.table):
        return f"no pairs: no two runs share {', '.join(pairs.by)}"
    noun = "pair" if len(pairs.table) == 1 else "pairs"
    a, b = comparison.arms
    text = f"{b}'s loss is {_than(pairs.ratio)} than {a}'s"
    if np.isfinite(pairs.lower):
        text += f" ({_in_words(pairs.lower - 1, pairs.upper - 1)})"
    better = (pairs.table["ratio"] < 1).mean()
    count = f"{len(pairs.table)} {noun} with the same {', '.join(pairs.by)}"
    near = f" (N within {pairs.apart:.1%})" if pairs.apart > 0 else ""
    often = {1.0: "all", 0.0: "none"}.get(better, f"{better:.0%}")
    return f"{text} over {count}{near}, and lower in {often} of them"


def _in_words(lower: float, upper: float) -> str:
    """The ends of a difference beside "lower" or "higher": words say the sign, as they do there.

    >>> _in_words(-0.0174, -0.0118), _in_words(-0.0483, 0.0138)
    ('1.18% to 1.74%', '4.83% lower to 1.38% higher')
    """
    if lower * upper < 0:
        return f"{_than(1 + lower)} to {_than(1 + upper)}"
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


def at_scale(row: dict[str, Any], arms: tuple[str, str]) -> str:
    """The losses at one scale, and the tokens that A needs for B's, in a sentence.

    The compute that A needs is the multiplier, which is told once: see `worth`.
    """
    a, b = arms
    where = "" if row["inside"] else f", {_OUTSIDE}"
    return (
        f"C = {row['C']:.3g} at the D/N of the runs (N {short(row['N'])}, D"
        f" {short(row['D'])}{where}): {b}'s loss is {_than(row['ratio'])}{_between(row)}; with this"
        f" N {a} needs {_times(row, 'equivalent_data')} the tokens for it"
    )


def _between(row: dict[str, Any]) -> str:
    """The interval of a ratio of losses, and the probability of its sign."""
    if np.isnan(row["ratio_lower"]):
        return ""
    interval = _in_words(row["ratio_lower"] - 1, row["ratio_upper"] - 1)
    way, sure = ("lower", row["better"]) if row["ratio"] < 1 else ("higher", 1 - row["better"])
    return f" ({interval}; {way} with probability {probability(sure)})"


def times(value: float) -> str:
    """A multiplier; infinite ones have no bound."""
    return "unbounded" if np.isinf(value) else three_digits(value)


def _times(row: dict[str, Any], name: str) -> str:
    between = f" ({times(row[f'{name}_lower'])} to {times(row[f'{name}_upper'])})"
    return f"{times(row[name])}x" + ("" if np.isnan(row[f"{name}_lower"]) else between)


def worth(comparison: ArmComparison) -> list[str]:
    """How budgets are split, then the compute multiplier at each scale, one sentence each."""
    table = comparison.multipliers
    title = _SPLITS[at_best_splits(comparison)]
    lines = [f"{title}. {_FLOOR}:" if _has_floor(comparison) else f"{title}:"]
    for verdict in records_of(comparison.verdicts):
        rows = table[table["C"] == verdict["C"]]
        each = [f"{_multiplier(row)}{_FLOORS[row['floor']]}" for row in records_of(rows)]
        # Also in size and tokens, and of each recipe at its own place.
        where = "" if rows["inside"].all() else f", {_OUTSIDE}"
        lines.append(
            f"C = {verdict['C']:.3g}{where}: {', '.join(each)}; {_conclusion(comparison, verdict)}"
        )
    return lines


def _conclusion(comparison: ArmComparison, verdict: dict[str, Any]) -> str:
    """What one row of verdicts says of B, and why it may say nothing."""
    said = in_words(verdict)
    if said == UNKNOWN:
        return f"cannot tell{'' if verdict['agree'] or verdict['near'] else _BY_FLOOR}"
    check = f" (close to 1: check with {_resamples(comparison)})" if NARROWLY in said else ""
    return f"{comparison.arms[1]} {said} compute{check}"


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


def _resamples(comparison: ArmComparison) -> str:
    result = comparison.result
    return f"resamples={_MORE * len(result.draws)}" if result is not None else "resamples="


def largest_measured(comparison: ArmComparison) -> float:
    """The largest compute at which no multiplier is extrapolated; NaN if there is none."""
    table = comparison.multipliers
    if comparison.result is None or not len(table):
        return np.nan
    is_measured = table.groupby("C")["inside"].transform("all").astype(bool)
    return float(table.loc[is_measured, "C"].max()) if is_measured.any() else np.nan


def needed(comparison: ArmComparison) -> str:
    """The multiplier at the largest compute where both were measured, and its verdict; or empty.

    The table of multipliers has the same number: with floors of their own where these are fitted.
    """
    table, largest = comparison.multipliers, largest_measured(comparison)
    if np.isnan(largest):
        return ""
    row = records_of(table[table["C"] == largest])[0]
    verdict = records_of(comparison.verdicts[comparison.verdicts["C"] == largest])[0]
    a, b = comparison.arms
    place = (
        "the largest compute at which the best splits of both lie inside the fitted range"
        if row["split"] == BEST
        else "the largest compute inside the fitted range of both, at the D/N of the runs"
    )
    doubt = f"; whether {b} saves compute cannot be told" if in_words(verdict) == UNKNOWN else ""
    return (
        f"for the loss of {b} {a} needs {_times(row, 'multiplier')} the compute, at C ="
        f" {row['C']:.3g}, {place}{doubt}"
    )


def answer_in_words(comparison: ArmComparison) -> str:
    """Which arm is better, by pairs and by what its compute is worth; or that nothing tells."""
    need = needed(comparison)
    need = f"{need[0].upper()}{need[1:]}." if need else ""
    if len(comparison.pairs.table):
        return f"{paired(comparison)}. {need}".rstrip()
    (a, b), unpaired = comparison.arms, f"no two runs share {', '.join(comparison.pairs.by)}"
    if need:
        return f"{need} No pairs support this: {unpaired}."
    apart = np.isnan(comparison.crossover.get("low", 0.0))
    also = f", and no compute C was measured for both {a} and {b}" if apart else ""
    return f"These runs do not tell whether {b} is better than {a}: {unpaired}{also}."


def sharing_in_words(tests: pd.DataFrame, level: float = 0.05) -> str:
    """Whether two arms are one recipe, and what they could have in common.

    Parameters
    ----------
    tests : DataFrame
        Of `scalinglab.analysis.arms.sharing.sharing_tests`.
    level : float
        A hypothesis with a smaller p is rejected.
    """
    *some, whole = records_of(tests)[1:]
    p = "p < 0.001" if whole["p"] < 0.001 else f"p = {whole['p']:.2g}"
    if not whole["p"] < level:
        return f"The runs do not tell these laws from one law for both ({p})."
    kept = [str(row["shared"]) for row in some if not row["p"] < level]
    common = f"could have in common: {'; or '.join(kept)}" if kept else "share none of these"
    return f"The laws of the recipes differ ({p}). They {common}."


def one_law_in_words(tests: pd.DataFrame, level: float = 0.05) -> str:
    """Whether the runs reject one law for both recipes, from the last of the tests."""
    p = records_of(tests)[-1]["p"]
    verdict = "reject" if p < level else "do not reject"
    said = f"p = {p:.2g}" if p > 0 else "p < 1e-300"
    return f"The runs {verdict} one law for both recipes, as if they were one ({said})."


def how_worth(comparison: ArmComparison) -> str:
    """How to read a table of multipliers, in a paragraph."""
    a, b = comparison.arms
    place = (
        "each at its best split of N and D"
        if at_best_splits(comparison)
        else "at the D/N of the runs (they do not tell the best splits)"
    )
    sentences = [
        f"Compute multiplier: how many times the compute C {a} needs for the loss that {b} has with"
        f" C, {place}. Above 1 {b} saves compute."
    ]
    if comparison.multipliers["floor"].nunique() > 1:
        sentences.append(
            f"Two laws are fitted, as the floor ({_FLOOR_MEANS}) decides far beyond the runs: one"
            f" with a floor for each recipe, one with one floor for both. {b} saves compute where"
            " the intervals of both laws lie above 1."
        )
    elif _has_floor(comparison):
        sentences.append(f"{_FLOOR}.")
    if any(NARROWLY in in_words(verdict) for verdict in records_of(comparison.verdicts)):
        sentences.append(
            "Narrowly: an interval ends so close to 1 that other random resamples could put 1 inside"
            f" it; check with {_resamples(comparison)} in the command."
        )
    sentences.append(
        "Inside both fitted ranges: each recipe has runs around its N and D; elsewhere the"
        " multiplier is extrapolated."
    )
    return " ".join(sentences)
