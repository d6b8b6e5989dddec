"""What the figures of two compared recipes show, in words: a caption begins with its finding."""

from __future__ import annotations

from typing import TYPE_CHECKING

from scalinglab.analysis.arms.names import titled
from scalinglab.analysis.arms.sentences import at_best_splits
from scalinglab.analysis.plot.arm_losses_figure import law_place

if TYPE_CHECKING:
    import pandas as pd

    from scalinglab.analysis.arms.comparison import ArmComparison

_SAME_RATIO = 2.0  # of the largest D/N to the smallest, up to which they are told as one


def pairs(comparison: ArmComparison) -> str:
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
            "Line: the law with a floor for each recipe, at every C.",
        ]
    else:
        sentences.append("Line: the same at every C.")
    sentences.append("Dashed: extrapolated.")
    if goes_on:
        sentences.append("A bar that ends in an arrow goes on beyond the figure.")
    return " ".join(sentences)


def losses(comparison: ArmComparison) -> str:
    """The losses of both recipes, and where their laws are drawn."""
    a, b = comparison.arms
    text = f"Loss of {a} and {b} against compute. Larger marks: larger models."
    if comparison.result is None:
        return text
    band = ", with its interval" if len(comparison.result.draws) else ""
    above = "; runs at other N and D lie above it" if at_best_splits(comparison) else ""
    return (
        f"{text} Lines: the law of each{band}, {law_place(comparison)}{above}. Dashed:"
        " extrapolated."
    )
