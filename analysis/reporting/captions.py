"""What a report's figures show, in words: a caption begins with its finding."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from scalinglab.analysis.decisions.allocation import RATIO
from scalinglab.analysis.decisions.approaches import NAMES
from scalinglab.analysis.fitting.fit_text import residuals_in_words
from scalinglab.analysis.judgement.multiverse import IN_WORDS
from scalinglab.analysis.laws.error_scale import RELATIVE
from scalinglab.analysis.plot.law_lines import run_table
from scalinglab.analysis.tables.interval_text import value_text
from scalinglab.analysis.tables.powers import power, short
from scalinglab.analysis.tables.typed import records_of

if TYPE_CHECKING:
    from scalinglab.analysis.decisions.allocation import Allocation
    from scalinglab.analysis.decisions.approaches import Approaches
    from scalinglab.analysis.decisions.isoflop import Minima
    from scalinglab.analysis.fitting.result import Result
    from scalinglab.analysis.judgement.multiverse import Multiverse

_SAME_BUDGET = 0.02  # relative difference of a curve's compute from a budget of the answer
_LEVEL = 0.1  # relative change of D/N, below which it is level
_QUANTITIES = {"N": "size N*", "D": "number of tokens D*"}


def growth(allocation: Allocation, quantity: str) -> str:
    """How the best N or D grows: ``The best size N* grows as C^0.50 (0.48 to 0.53).``"""
    row = records_of(allocation.exponents.loc[[quantity]])[0]
    exponent = value_text(row, "exponent", ".2f")
    value, _, interval = exponent.partition(" ")
    text = f"The best {_QUANTITIES[quantity]} grows as C^{value}"
    return f"{text} {interval}." if interval else f"{text}."


def tokens_per_parameter(allocation: Allocation) -> str:
    """Whether the best D/N grows or falls with C, as far as the interval of its exponent says."""
    rows = records_of(allocation.table.sort_values("C"))
    first, last = rows[0], rows[-1]
    name = "tokens_per_parameter"
    if len(rows) == 1:
        return (
            f"The best split has {first[name]:.3g} tokens per parameter at C = {power(first['C'])}."
        )
    ends = f"C = {power(first['C'])} to {power(last['C'])}"
    row = records_of(allocation.exponents.loc[[RATIO]])[0]
    grown = f"as C^{value_text(row, 'exponent', '.2f')}"
    lower, upper = (float(row.get(f"exponent_{end}", np.nan)) for end in ("lower", "upper"))
    is_open = lower <= 0 <= upper
    if abs(np.log(last[name] / first[name])) < _LEVEL and not lower > 0 and not upper < 0:
        return f"About {last[name]:.2g} tokens per parameter are best at all budgets, {ends}."
    between = f"{first[name]:.3g} to {last[name]:.3g}, {ends}"
    if is_open:
        return (
            f"Whether the best tokens per parameter grow or fall with C is open: {grown}; by the"
            f" law {between}."
        )
    verb = "grow" if last[name] > first[name] else "fall"
    return f"The best tokens per parameter {verb} {grown}, {between}."


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
    """How far runs lie from the law: half of them, and all, beside the noise where it is known."""
    table = run_table(law, runs)
    away = np.abs(table["predicted"] / table["loss"] - 1)
    away = away[np.isfinite(away)]
    if not len(away):
        return ""
    known = law.noise if law.scale is RELATIVE else None
    beside = "" if known is None else f"; noise known from repeats or rounding: {known:.2%}"
    return (
        f"Residuals: {residuals_in_words(law)}; half of the runs lie within {away.median():.2%} of"
        f" the law{beside}."
    )


def variants(every: Multiverse, answer: float | None = None) -> str:
    """What the colours of a multiverse's answers are, and the line of the study's own."""
    most = every.shares["choice"].iloc[0]
    return (
        f"The answer of every analysis variant; colour: {most} ({IN_WORDS[most]}), which matters"
        " most."
    ) + ("" if answer is None else " Grey line: the answer of this page.")


def choices(every: Multiverse) -> str:
    """Which choice matters most, and what the two effects are."""
    first = records_of(every.shares)[0]
    return (
        f"How much each choice matters: most {first['choice']}"
        f" ({IN_WORDS[first['choice']]}). Main effect: the share of"
        " the variance that a choice makes alone; total effect: together with other choices."
    )
