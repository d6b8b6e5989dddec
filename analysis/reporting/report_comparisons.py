"""Sections of the report that compare: laws by what they predict, approaches to the best split."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pandas as pd

from scalinglab.analysis.decisions.approaches import refusals_in_words
from scalinglab.analysis.reporting.cautions import disagreement
from scalinglab.analysis.reporting.page import Details, Section
from scalinglab.analysis.reporting.report_outlook import WRITTEN
from scalinglab.analysis.tables.interval_text import with_intervals

if TYPE_CHECKING:
    from scalinglab.analysis.reporting.answer import Answer

# Losses at a best split: their intervals leave three decimals.
SPLITS = WRITTEN | {"loss": "{:.3f}".format}
_UNITS = {1: "sizes", 2: "budgets", 3: "points"}  # that an approach's exponents come from
_OVERLAP = "At every budget the intervals of their best sizes overlap."
_VERDICTS = (
    " The error is the mean one of budgets that were left out of the fit. The best keeps its lead:"
    " in this share of other draws of the runs; up to 97.5 % it is a tie, however far apart the"
    " errors."
)
_ORDER = (
    "Bias: the error that the trend of held-out errors leads to at the largest budget asked for."
    " Score: the mean log density of held-out losses, higher is better; it weighs error, bias and"
    " their doubt. A law may be fitted without the smallest budgets where it then predicts better."
)


def laws_section(answer: Answer) -> list[Section]:
    """Laws by the error of what they predict of budgets that were left out."""
    if answer.laws is None:
        return []
    title = "Laws compared: what each predicts of budgets that it has not seen"
    laws = answer.laws
    details = Details("What this order rests on", _ORDER, laws.details()) if laws.origins else None
    text = laws.sentence() + (_VERDICTS if laws.origins else "")
    return [Section(title, text, tables=[laws.shown()], details=details)]


def approaches_section(answer: Answer) -> list[Section]:
    """The exponents and best splits of each approach, and why one gives none."""
    approaches = answer.approaches
    if answer.allocation is None or approaches is None:
        return []
    return [
        Section(
            text=f"{_count(len(approaches.exponents))} side by side: N* grows as C^a, D* as C^b."
            f" {disagreement(approaches) or _OVERLAP * ('N_lower' in approaches.table)}",
            tables=[
                _with_refused(
                    with_intervals(_with_source(approaches.exponents)), approaches.refused
                ),
                with_intervals(approaches.table, SPLITS),
            ],
            refused=refusals_in_words(approaches.refused),
        )
    ]


def _count(approaches: int) -> str:
    names = {1: "One approach", 2: "Two approaches", 3: "Three approaches"}
    return names.get(approaches, f"{approaches} approaches")


def _with_refused(exponents: pd.DataFrame, refused: pd.DataFrame) -> pd.DataFrame:
    """With a row for each approach that gives no answer at all, and why."""
    without = refused[refused["C"].isna() & ~refused["approach"].isin(exponents["approach"])]
    if without.empty:
        return exponents
    rows = [
        {"approach": approach, "found from": f"refused: {reason}"}
        for approach, reason in zip(without["approach"], without["why"], strict=True)
    ]
    return pd.concat([exponents, pd.DataFrame(rows)], ignore_index=True).fillna("")


def _with_source(exponents: pd.DataFrame) -> pd.DataFrame:
    """What each approach's exponents come from: ``5 budgets`` in place of a bare 5."""
    units = [_UNITS[int(str(name).partition(" ")[0])] for name in exponents["approach"]]
    texts = [f"{n} {unit}" for n, unit in zip(exponents["seen"], units, strict=True)]
    return exponents.drop(columns="seen").assign(**{"found from": texts})
