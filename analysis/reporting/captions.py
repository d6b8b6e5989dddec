"""What a report's figures show, in words: a caption begins with its finding."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from scalinglab.analysis.arms.names import titled
from scalinglab.analysis.arms.sentences import at_best_splits
from scalinglab.analysis.decisions.approaches import NAMES
from scalinglab.analysis.judgement.multiverse import IN_WORDS
from scalinglab.analysis.plot.law_lines import run_table
from scalinglab.analysis.tables.interval_text import value_text
from scalinglab.analysis.tables.powers import power, short
from scalinglab.analysis.tables.typed import records_of

if TYPE_CHECKING:
    from scalinglab.analysis.arms.comparison import ArmComparison
    from scalinglab.analysis.decisions.allocation import Allocation
    from scalinglab.analysis.decisions.approaches import Approaches
    from scalinglab.analysis.decisions.isoflop import Minima
    from scalinglab.analysis.fitting.result import Result
    from scalinglab.analysis.judgement.multiverse import Multiverse

_SAME_BUDGET = 0.02  # relative difference of a curve's compute from a budget of the answer
_LEVEL = 0.1  # relative change of D/N, below which it is level
_SAME_RATIO = 2.0  # of the largest D/N to the smallest, up to which they are told as one
_QUANTITIES = {"N": "size N*", "D": "number of tokens D*"}


def growth(allocation: Allocation, quantity: str) -> str:
    """How the best N or D grows: ``The best size N* grows as C^0.50 (0.48 to 0.53).``"""
    row = records_of(allocation.exponents.loc[[quantity]])[0]
    exponent = value_text(row, "exponent", ".2f")
    value, _, interval = exponent.partition(" ")
    text = f"The best {_QUANTITIES[quantity]} grows as C^{value}"
    return f"{text} {interval}." if interval else f"{text}."


def tokens_per_parameter(allocation: Allocation) -> str:
    """Whether the best D/N grows, falls or stays, between the least and the largest budget."""
    rows = records_of(allocation.table.sort_values("C"))
    first, last = rows[0], rows[-1]
    name = "tokens_per_parameter"
    if len(rows) == 1:
        return (
            f"The best split has {first[name]:.3g} tokens per parameter at C = {power(first['C'])}."
        )
    change = last[name] / first[name]
    ends = f"C = {power(first['C'])} to {power(last['C'])}"
    if abs(np.log(change)) < _LEVEL:
        return f"About {last[name]:.2g} tokens per parameter are best at all budgets, {ends}."
    verb = "grow" if change > 1 else "fall"
    text = (
        f"The best tokens per parameter {verb} from {first[name]:.3g} to {last[name]:.3g}, {ends}"
    )
    overlap = first.get(f"{name}_lower", np.nan) <= last.get(f"{name}_upper", np.nan) and last.get(
        f"{name}_lower", np.nan
    ) <= first.get(f"{name}_upper", np.nan)
    return f"{text}; their intervals overlap." if overlap else f"{text}."


def minima(found: pd.DataFrame) -> str:
    """Where the minima of IsoFLOP curves move."""
    rows = records_of(found.sort_values("C"))
    first, last = rows[0], rows[-1]
    return (
        f"The minimum moves from N = {short(first['N'])} at C = {power(first['C'])} to"
        f" {short(last['N'])} at {power(last['C'])}."
    )


def isoflop(curves: Minima, approaches: Approaches | None = None) -> str:
    """IsoFLOP curves, where their minima move, and why other sizes than a minimum are best."""
    sentences = [
        "IsoFLOP curves: a parabola through the runs of each budget, and its minimum.",
        minima(curves.found),
        _best_sizes(curves.found, approaches),
    ]
    return " ".join(filter(None, sentences))


def _best_sizes(found: pd.DataFrame, approaches: Approaches | None) -> str:
    """The best sizes of the largest budget that is a curve and in the answer, and what each is."""
    if approaches is None:
        return ""
    for row in records_of(found.sort_values("C", ascending=False)):
        at = approaches.table[np.isclose(approaches.table["C"], row["C"], rtol=_SAME_BUDGET)]
        by = {str(one["approach"]): one for one in records_of(at)}
        line, law = by.get(NAMES[2]), by.get(NAMES[3])
        if line is not None and law is not None:
            return (
                f"At C = {power(row['C'])} this one minimum is {value_text(row, 'N', short)}; the"
                f" power law through all minima gives {value_text(line, 'N', short)}, the fitted"
                f" law, which is the answer, {value_text(law, 'N', short)}."
            )
    return ""


def misfit(law: Result, runs: pd.DataFrame) -> str:
    """How far runs lie from the law: the median, which no single run decides."""
    table = run_table(law, runs)
    away = np.abs(table["predicted"] / table["loss"] - 1)
    away = away[np.isfinite(away)]
    if not len(away):
        return ""
    return f"Half of the runs lie within {away.median():.2%} of the law."


def arm_pairs(comparison: ArmComparison) -> str:
    """In how many pairs a recipe is better, and what line and band are beside the pairs."""
    a, b = titled(comparison.arms)
    ratios = comparison.pairs.table["ratio"]
    text = (
        f"The loss of {b} is lower than that of {a} in {(ratios < 1).sum()} of {len(ratios)} pairs."
        f" Points: pairs of runs; below zero {comparison.arms[1]} is better."
    )
    if comparison.result is None:
        return text
    band = " with its interval" if len(comparison.result.draws) else ""
    return (
        f"{text} Line{band}: the ratio of the two laws where N and D lie on the trend of the runs."
        f" It is a mean: pairs{_other_ratios(comparison.pairs.table)} have noise of their own, and"
        " may lie outside. Dashed: extrapolated."
    )


def _other_ratios(pairs: pd.DataFrame) -> str:
    """The D/N of pairs, where they differ: ``, whose D/N is 1 to 10,000,``."""
    ratio = pairs["D"] / pairs["N"]
    low, high = ratio.min(), ratio.max()
    return f", whose D/N is {low:,.3g} to {high:,.0f}," if high > _SAME_RATIO * low else ""


def multiplier(comparison: ArmComparison, goes_on: bool) -> str:
    """What is drawn of compute multipliers; `goes_on` where a bar ends in an arrow."""
    a, b = comparison.arms
    where = (
        "each recipe at its best split of N and D"
        if at_best_splits(comparison)
        else "N and D on the trend of the runs"
    )
    sentences = [
        f"Compute multiplier: the compute that {a} needs for the loss of {b}, over that of {b};"
        f" {where}. Above 1 {b} saves compute.",
        "Marks: as in the table.",
    ]
    if comparison.multipliers["floor"].nunique() > 1:
        sentences += [
            "The two marks of a budget stand side by side, and have the same C.",
            "Line: the law with a floor for each recipe, between these budgets.",
        ]
    else:
        sentences.append("Line: the same between these budgets.")
    sentences.append("Dashed: extrapolated.")
    if goes_on:
        sentences.append("A bar that ends in an arrow goes on beyond the figure.")
    return " ".join(sentences)


def variants(every: Multiverse) -> str:
    """What the colours of a multiverse's answers are."""
    most = every.shares["choice"].iloc[0]
    return (
        f"The answer of every analysis variant; colour: {most} ({IN_WORDS[most]}), which matters"
        " most."
    )


def choices(every: Multiverse) -> str:
    """Which choice matters most, and what the two effects are."""
    first = records_of(every.shares)[0]
    return (
        f"How much each choice matters: most {first['choice']}"
        f" ({IN_WORDS[first['choice']]}). Main effect: the share of"
        " the variance that a choice makes alone; total effect: together with other choices."
    )
