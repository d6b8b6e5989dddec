"""The best splits of a study's budgets, as sentences and as a table within a text."""

from __future__ import annotations

import pandas as pd

from scalinglab.analysis.decisions.allocation import Allocation, growth_in_words
from scalinglab.analysis.intervals.spread import calibration_in_words
from scalinglab.analysis.reporting.reported_runs import TextTable
from scalinglab.analysis.tables.interval_text import value_text
from scalinglab.analysis.tables.powers import in_powers, power, short
from scalinglab.analysis.tables.typed import records_of


def split_in_words(allocation: Allocation, counted: str) -> str:
    """The growth of N* and D* with the budget, and a line a budget.

    Parameters
    ----------
    allocation : Allocation
    counted : str
        The conventions of C and N.
    """
    rows = [
        f"- C = {r['C']:.3g} FLOPs: N* = {value_text(r, 'N', short)}, "
        f"D* = {value_text(r, 'D', short)}, "
        f"{value_text(r, 'tokens_per_parameter')} tokens per parameter, loss "
        f"{value_text(r, 'loss', '.3f')}" + ("" if r["inside"] else ", outside the fitted range")
        for r in records_of(allocation.table)
    ]
    wider = calibration_in_words(allocation.calibration_factor)
    title = f"How to split a budget ({counted}): {growth_in_words(allocation.exponents)}." + (
        f" Intervals of the loss are {wider}." if wider else ""
    )
    return "\n".join([title, *rows])


def split_table(allocation: Allocation, counted: str) -> TextTable:
    """A row a budget; how N* and D* grow with the budget is said by the headline above it.

    Parameters
    ----------
    allocation : Allocation
    counted : str
        The conventions of C and N.
    """
    rows = records_of(allocation.table)
    cells = {
        "C (FLOPs)": [power(r["C"]) for r in rows],
        "N*": [in_powers(value_text(r, "N", short)) for r in rows],
        "D*": [in_powers(value_text(r, "D", short)) for r in rows],
        "D*/N*": [in_powers(value_text(r, "tokens_per_parameter")) for r in rows],
        "loss": [in_powers(value_text(r, "loss", ".3f")) for r in rows],
    }
    beyond = [f"C = {power(r['C'])}" for r in rows if not r["inside"]]
    wider = calibration_in_words(allocation.calibration_factor)
    widened = f"; intervals of the loss are {wider}" if wider else ""
    return TextTable(
        f"How to split a budget ({counted}{widened}):",
        pd.DataFrame(cells),
        f"Outside the fitted range: {', '.join(beyond)}." if beyond else "",
    )
