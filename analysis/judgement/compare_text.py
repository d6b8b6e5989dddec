"""A comparison of laws as text."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from scalinglab.analysis.judgement.compare import Comparison

_SIDES = 0.9  # share of errors on one side that is worth a sentence


def render(comparison: Comparison) -> str:
    """The table, and what it does and does not say."""
    predictions = comparison.predictions
    points = predictions[["origin", "row"]].drop_duplicates()
    title = (
        f"[[{len(comparison.table)} laws by {comparison.by}: {len(points)} points ahead of"
        f" {points['origin'].nunique()} origins]]"
    )
    lines = [_row(name, row) for name, row in comparison.table.iterrows()]
    header = f"{'law':<24}{'free':>5}{'in sample':>11}{'held out':>10}{'last':>8}{'bias':>9}"
    body = [header + f"{'one side':>10}{'wins':>6}", *lines, *_sentences(comparison)]
    return "\n".join([title, *(f"    {line}" for line in body)])


def _row(name: object, row) -> str:
    return (
        f"{name:<24}{row['free']:>5.0f}{row['in_sample']:>11.2%}{row['held_out']:>10.2%}"
        f"{row['last']:>8.2%}{row['bias']:>+9.2%}{row['one_sided']:>10.0%}{row['wins']:>6.0%}"
    )


def _sentences(comparison: Comparison) -> list[str]:
    row = comparison.table.loc[comparison.winner]
    sentences = [
        f"{comparison.winner} predicts best: {row['held_out']:.2%} off one step ahead,"
        f" {row['in_sample']:.2%} where it was fitted."
    ]
    if comparison.rivals:
        sentences.append(f"The points do not tell it apart from {', '.join(comparison.rivals)}.")
    if comparison.predictions["origin"].nunique() > 1:
        law, error = comparison.honest
        sentences.append(
            f"Chosen without the last step it would have been {law}, {error:.2%} off there: the"
            " error to expect of such a choice."
        )
    else:
        sentences.append("One origin both chose it and scored it: expect more than this error.")
    if row["one_sided"] >= _SIDES:
        side = "high" if row["bias"] > 0 else "low"
        sentences.append(
            f"! {row['one_sided']:.0%} of its errors are too {side}: farther out it will be worse."
        )
    smallest = comparison.table["in_sample"].idxmin()
    if smallest != comparison.winner:
        sentences.append(f"{smallest} fits the points best, and predicts worse.")
    sentences += [f"! left out for all laws: {reason}" for reason in comparison.skipped]
    return sentences
