"""Sections of the report that compare: laws by what they predict, approaches to the best split."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pandas as pd

from scalinglab.analysis.choice.score import FLOOR
from scalinglab.analysis.decisions.approaches import refusals_in_words
from scalinglab.analysis.reporting.cautions import disagreement
from scalinglab.analysis.reporting.page import Details, Section
from scalinglab.analysis.reporting.report_outlook import WRITTEN
from scalinglab.analysis.tables.interval_text import with_intervals

if TYPE_CHECKING:
    from scalinglab.analysis.reporting.answer import Answer

# Losses at a best split: their intervals leave three decimals.
SPLITS = WRITTEN | {"loss": "{:.3f}".format}
# Columns of a table of best splits -> their headings, with units and as sentences write them.
HEADINGS = {
    "C": "C (FLOPs)",
    "N": "N* (parameters)",
    "D": "D* (tokens)",
    "D/N": "D*/N*",
    "loss": "loss (nats/token)",
    "a": "a (N*)",
    "b": "b (D*)",
}
_UNITS = {1: "sizes", 2: "budgets", 3: "points"}  # that an approach's exponents come from
_MEANINGS = {
    1: "The envelope is a power law through the C at which larger sizes take over from smaller ones;"
    " the final losses of one size are interpolated between its runs.",
    2: "IsoFLOP is a power law through the minima of the budgets' parabolas.",
    3: "The surface is the fitted law, whose best splits are the answer above.",
}
_OVERLAP = "At every budget the intervals of their best sizes overlap."
_WIDE = 0.5  # width of an interval of a, from which it tells little
_VERDICTS = (
    " Score: the mean log density of the left-out losses, higher is better; it counts errors and how"
    " sure a law was. Error: its average size at budgets that were left out of the fit. A law may be"
    " fitted without the smallest runs where it then predicts the larger ones better: score and error"
    " are of that fit. Against the best: a tie if a law is ahead of the one of best score in 2.5% or"
    " more of other draws of these runs."
)
_ORDER = (
    "Error expected at the largest budget: where the trend of held-out errors leads, at the largest"
    " budget of this page. Weight: its share in the average of laws that predicts the left-out"
    f" losses best (study.answer.law=auto). Each law whose score is not far behind has {FLOOR:.0%} at"
    " least before weights are scaled to one: a few budgets cannot rule it out."
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
    exponents, refused = approaches.exponents, approaches.refused
    # What a row of the table says needs no second place.
    elsewhere = refused["C"].notna() | refused["approach"].isin(exponents["approach"])
    sentences = [
        f"{_count(len(exponents))}: N* grows as C^a, D* as C^b.",
        " ".join(_MEANINGS[_number(name)] for name in exponents["approach"]),
        disagreement(approaches) or _OVERLAP * ("N_lower" in approaches.table),
        *_wide(exponents),
    ]
    return [
        Section(
            text=" ".join(filter(None, sentences)),
            tables=[
                _with_refused(with_intervals(_with_source(exponents)), refused[~elsewhere]).rename(
                    columns=HEADINGS
                ),
                with_intervals(approaches.table, SPLITS).rename(columns=HEADINGS),
            ],
            refused=refusals_in_words(refused[elsewhere]),
        )
    ]


def _number(approach: object) -> int:
    """1 of "1 envelope"."""
    return int(str(approach).partition(" ")[0])


def _count(approaches: int) -> str:
    """How many of the approaches give an answer."""
    texts = {1: "One of three approaches", 2: "Two of three approaches"}
    return f"{texts.get(approaches, 'Three approaches')} to the best split"


def _wide(exponents: pd.DataFrame) -> list[str]:
    """Approaches whose exponents leave open how N grows."""
    if "a_lower" not in exponents:
        return []
    width = exponents["a_upper"] - exponents["a_lower"]
    open_ones = exponents["approach"][width > _WIDE]
    return [f"Approach {name} leaves a open: its interval is wide." for name in open_ones]


def _with_refused(exponents: pd.DataFrame, refused: pd.DataFrame) -> pd.DataFrame:
    """With a row for each approach that gives no answer at all, and why; by their numbers."""
    rows = [
        {"approach": approach, "found from": f"refused: {reason}"}
        for approach, reason in zip(refused["approach"], refused["why"], strict=True)
    ]
    every = pd.concat([exponents, pd.DataFrame(rows)], ignore_index=True).fillna("")
    return every.sort_values("approach", ignore_index=True)


def _with_source(exponents: pd.DataFrame) -> pd.DataFrame:
    """What each approach's exponents come from: ``5 budgets`` in place of a bare 5."""
    units = [_UNITS[_number(name)] for name in exponents["approach"]]
    texts = [f"{n} {unit}" for n, unit in zip(exponents["seen"], units, strict=True)]
    return exponents.drop(columns="seen").assign(**{"found from": texts})
