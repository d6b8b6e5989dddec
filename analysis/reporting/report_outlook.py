"""Sections of the report on the outlook: forecasts, their track record, two arms compared."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pandas as pd

from scalinglab.analysis.arms.multiplier import NONE, ONE, OWN, UNKNOWN, in_words
from scalinglab.analysis.arms.sentences import (
    at_best_splits,
    at_scale,
    how_worth,
    probability,
    sharing_in_words,
    times,
)
from scalinglab.analysis.forecasts.norms import LEVEL, norm_warnings
from scalinglab.analysis.forecasts.track import as_texts, sentence
from scalinglab.analysis.intervals.spread import calibration_in_words
from scalinglab.analysis.reporting.cells import columns_of
from scalinglab.analysis.reporting.page import Section
from scalinglab.analysis.reporting.report_figures import other_arm_figures
from scalinglab.analysis.tables.interval_text import NumberText, value_text, with_intervals
from scalinglab.analysis.tables.latex import latex
from scalinglab.analysis.tables.powers import power, short
from scalinglab.analysis.tables.typed import records_of

if TYPE_CHECKING:
    from scalinglab.analysis.arms.comparison import ArmComparison
    from scalinglab.analysis.arms.pairs import Pairs
    from scalinglab.analysis.reporting.outlook import Outlook

# Columns of counts and compute, as figures write them.
WRITTEN = {"N": short, "D": short, "C": power}
# Columns of compared arms -> what people read. What is answered stands first: a telephone shows the
# first columns. Long names of arms are in headings, never in those of columns.
_ARMS = {
    "C": "C",
    "ratio": "loss, B against A",
    "better": "probability that B is lower",
    "equivalent_data": "tokens of A / B at equal loss",
    "inside": "N, D measured of both",
    "N": "N",
    "D": "D",
}
_FLOORS = {OWN: "", ONE: " if both have one floor", NONE: ""}
_ARMS_WRITTEN = {
    **WRITTEN,
    "ratio": "{:+.2%}".format,
    "better": probability,
}


def outlook_sections(outlook: Outlook) -> list[Section]:
    """A section for each part that has something to show."""
    return [*_forecasts(outlook), *_norms(outlook), *_track(outlook)]


def _forecasts(outlook: Outlook) -> list[Section]:
    forecasts = outlook.forecasts
    if forecasts.empty:
        return []
    with_share = forecasts.assign(known=[f"{share:.0%}" for share in forecasts["share"]])
    named = with_share.rename(
        columns={"loss": "final", "lower": "final_lower", "upper": "final_upper"}
    )
    columns = [
        "run_id",
        "role",
        "state",
        "N",
        "D",
        "schedule",
        "seed",
        "known",
        "final",
        "final_lower",
        "final_upper",
        "beyond",
        "law",
        "note",
    ]
    wider = (
        f", {calibration_in_words(outlook.calibration_factor)}"
        if outlook.calibration_factor > 1
        else ""
    )
    text = f"Intervals are {outlook.level:.0%}{wider}."
    return [Section("Forecasts of unfinished runs", text, [with_intervals(named[columns])])]


def _norms(outlook: Outlook) -> list[Section]:
    if outlook.norms.empty:
        return []
    table = outlook.norms.rename(columns={"lower": "value_lower", "upper": "value_upper"})
    text = " ".join(
        [
            "Each is a power of N and LR through the finished runs of the recipe that measured it,"
            f" with its {LEVEL:.0%} interval for a new run.",
            *(f"{sentence}." for sentence in norm_warnings(outlook.norms)),
        ]
    )
    return [Section("Norms expected of unfinished runs", text, [with_intervals(table)])]


def _track(outlook: Outlook) -> list[Section]:
    if outlook.track.empty:
        return []
    table = as_texts(outlook.track).drop(columns="study")
    text = sentence(outlook.record, outlook.level)
    return [Section("Track record of forecasts", text, [table])]


def arms_sections(outlook: Outlook | None) -> list[Section]:
    """Two arms compared: what compute is worth, along the ladder, shared parameters, pairs."""
    comparison = None if outlook is None else outlook.arms
    if comparison is None:
        return []
    a, b = comparison.arms
    parts = []
    if comparison.result is not None:
        parts = [
            Section(
                f"How much more compute {a} needs for the loss of {b}",
                how_worth(comparison),
                [_worth_table(comparison)],
            ),
            Section(
                f"{b} (B) against {a} (A) at the D/N of the runs",
                _how_compared(comparison),
                [_arms_table(comparison.scales)],
            ),
            Section(
                "Do the arms share parameters?",
                f"{sharing_in_words(comparison.sharing)} A small p rejects sharing.",
                [_sharing(comparison.sharing)],
            ),
        ]
    if len(comparison.differences):
        differences = comparison.differences.rename(columns={"a": a, "b": b, "intended": "the arm"})
        parts.append(Section("What differs between the arms", tables=[differences]))
    pairs = _pairs_table(comparison.pairs)
    figures = other_arm_figures(comparison)
    parts.append(
        Section(f"{b} (B) against {a} (A): pairs", _what_a_pair_is(comparison), [pairs], figures)
    )
    return parts


def arms_in_latex(outlook: Outlook | None) -> list[str]:
    """The verdicts on two arms, the tests of what they share, and their pairs, for a paper."""
    comparison = None if outlook is None else outlook.arms
    if comparison is None:
        return []
    a, b = comparison.arms
    tables = {}
    if comparison.result is not None:
        tables = {
            f"Compute that {a} needs for the loss of {b}, over that of {b}": _worth_table(
                comparison
            ),
            f"Hypotheses of what the laws of {a} and {b} share": _sharing(comparison.sharing),
        }
    if len(comparison.pairs.table):
        pairs = _pairs_table(comparison.pairs)
        tables[f"Paired runs of {a} (A) and {b} (B)"] = pairs
    return [
        latex(table, caption, [column.texts for column in columns_of(table, len(table))])
        for caption, table in tables.items()
    ]


def _worth_table(comparison: ArmComparison) -> pd.DataFrame:
    """One row a compute: the joint verdict, and the multiplier by each treatment of the floor."""
    table, rows = comparison.multipliers, []
    for verdict in records_of(comparison.verdicts):
        each = records_of(table[table["C"] == verdict["C"]])
        row = {
            "C": NumberText(power(verdict["C"]), (verdict["C"],)),
            "verdict": _of_compute(in_words(verdict)),
        }
        for place, one in enumerate(each):
            name = "compute multiplier" if place == 0 else _FLOORS[one["floor"]].strip()
            row[name] = value_text(one, "multiplier", times)
        if table["censored"].any():
            row["share unbounded"] = f"{max(o['censored'] for o in each):.2g}"
        inside = all(one["inside"] for one in each)
        row[_ARMS["inside"]] = "yes" if inside else "no"
        for name in ("N", "D"):
            row[name] = NumberText(short(each[0][name]), (each[0][name],))
        rows.append(row)
    return pd.DataFrame(rows, dtype=object)


def _of_compute(verdict: str) -> str:
    return verdict if verdict == UNKNOWN else f"{verdict} compute"


def _how_compared(comparison: ArmComparison) -> str:
    """What the table along the ladder has beside the multipliers."""
    text = (
        "N and D grow together with C as they do in the runs. Their fitted range is that of these N"
        " and D together, narrower than that of all runs."
    )
    measured = records_of(comparison.scales[comparison.scales["inside"].astype(bool)])
    if measured:
        text += f" At {at_scale(measured[-1], comparison.arms)}."
    if at_best_splits(comparison):
        text += (
            " These N and D are not the best splits of the table above, so its multipliers are"
            " others."
        )
    return text


def _arms_table(table: pd.DataFrame) -> pd.DataFrame:
    """What the laws of two arms say at each C, what is answered first."""
    # As the text says it, not a ratio beside "-1.5%": files have the numbers of the texts.
    ratios = [name for name in ("ratio", "ratio_lower", "ratio_upper") if name in table]
    texts = with_intervals(
        table.assign(**{name: table[name] - 1 for name in ratios}), _ARMS_WRITTEN
    )
    return texts[[name for name in _ARMS if name in texts]].rename(columns=_ARMS)


def _pairs_table(pairs: Pairs) -> pd.DataFrame:
    """The losses of paired runs and their difference; the keys by which they are paired."""
    table = pairs.table
    first = {name: table[name] for name in ("N", "D") if name in table}
    others = [name for name in pairs.by if name not in first]
    columns = {"B against A": table["ratio"] - 1, "loss of A": table["a"], "loss of B": table["b"]}
    return pd.DataFrame({**first, **columns, **{name: table[name] for name in others}})


def _what_a_pair_is(comparison: ArmComparison) -> str:
    by = ", ".join(comparison.pairs.by)
    if not len(comparison.pairs.table):
        return f"No two runs share {by}."
    return f"Each row is a run of either recipe with the same {by}."


def _sharing(tests: pd.DataFrame) -> pd.DataFrame:
    def texts(name: str, form: str) -> list[str]:
        return ["" if pd.isna(value) else f"{value:{form}}" for value in tests[name]]

    return pd.DataFrame(
        {
            "shared": tests["shared"],
            "likelihood ratio": texts("ratio", ".1f"),
            "degrees": tests["degrees"],
            "p": texts("p", ".2g"),
            "error at the largest size": texts("held_out", ".2%"),
        }
    )
