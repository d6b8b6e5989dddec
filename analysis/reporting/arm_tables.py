"""Tables of two compared recipes, for pages and papers: what is answered stands first.

A telephone shows the first columns. Columns have the recipes' names, or their roles where the names
are long: A and B are coefficients of the laws on the same page.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pandas as pd

from scalinglab.analysis.arms.multiplier import BEST, NONE, ONE, OWN, UNKNOWN, in_words
from scalinglab.analysis.arms.names import column_names
from scalinglab.analysis.arms.sentences import probability, times
from scalinglab.analysis.arms.splits import parameters_by_arm
from scalinglab.analysis.tables.interval_text import (
    NumberText,
    as_objects,
    parameter_text,
    value_text,
    with_intervals,
)
from scalinglab.analysis.tables.powers import power, short
from scalinglab.analysis.tables.typed import records_of

if TYPE_CHECKING:
    from scalinglab.analysis.arms.comparison import ArmComparison

INSIDE = "inside both fitted ranges"
_FLOORS = {OWN: "own floors", ONE: "one floor", NONE: ""}
_WRITTEN = {
    "N": short,
    "D": short,
    "C": power,
    "ratio": "{:+.2%}".format,
    "better": probability,
}


def multiplier_table(comparison: ArmComparison) -> pd.DataFrame:
    """One row a compute: the joint verdict, and the multiplier by each treatment of the floor."""
    table, rows = comparison.multipliers, []
    for verdict in records_of(comparison.verdicts):
        each = records_of(table[table["C"] == verdict["C"]])
        row = {
            "C": NumberText(power(verdict["C"]), (verdict["C"],)),
            "verdict": _of_compute(in_words(verdict)),
        }
        for one in each:
            floor = _FLOORS[one["floor"]]
            name = f"multiplier, {floor}" if floor else "compute multiplier"
            row[name] = value_text(one, "multiplier", times)
        if table["censored"].any():
            row["share unbounded"] = f"{max(o['censored'] for o in each):.2g}"
        row[INSIDE] = "yes" if all(one["inside"] for one in each) else "no"
        if each[0]["split"] != BEST:  # best splits differ by recipe, and have a table
            for name in ("N", "D"):
                row[f"{name} on the trend"] = NumberText(short(each[0][name]), (each[0][name],))
        rows.append(row)
    return pd.DataFrame(rows, dtype=object)


def _of_compute(verdict: str) -> str:
    return verdict if verdict == UNKNOWN else f"{verdict} compute"


def splits_table(comparison: ArmComparison) -> pd.DataFrame:
    """One row a compute: N* and D* of each recipe, by laws of which each has its own floor."""
    rows, named = [], dict(zip(comparison.arms, column_names(comparison.arms), strict=True))
    for cost in sorted(set(comparison.splits["C"].tolist())):
        both = comparison.splits[comparison.splits["C"] == cost]
        row: dict[str, Any] = {"C": NumberText(power(cost), (cost,))}
        for name in ("N", "D"):  # a telephone shows the first columns: both sizes
            for split in records_of(both):
                row[f"{name}* of {named[split['arm']]}"] = value_text(split, name, short)
        rows.append(row | {INSIDE: "yes" if both["inside"].all() else "no"})
    return pd.DataFrame(rows, dtype=object)


def parameters_table(comparison: ArmComparison) -> pd.DataFrame:
    """The parameters of each recipe's law beside each other, with intervals."""
    named = dict(zip(comparison.arms, column_names(comparison.arms), strict=True))
    every, rows = parameters_by_arm(comparison), []
    for name, both in every.groupby("parameter", sort=False):
        records = records_of(both)
        cells = {named[record["arm"]]: parameter_text(record) for record in records}
        known = [named[record["arm"]] for record in records if record["identified"]]
        identified = {len(records): "yes", 0: "no"}.get(len(known), f"{' '.join(known)} only")
        row = {"parameter": name, **cells, "identified": identified}
        rows.append(row | {key: records[0][key] for key in ("unit", "meaning")})
    table = pd.DataFrame(rows, dtype=object)
    return table.assign(**{name: as_objects(list(table[name])) for name in named.values()})


def trend_table(comparison: ArmComparison) -> pd.DataFrame:
    """What the laws of two recipes say at each C, with N and D on the trend of the runs."""
    a, b = column_names(comparison.arms)
    columns = {
        "C": "C",
        "ratio": "loss difference",
        "better": f"probability that {b} is lower",
        "equivalent_data": f"tokens of {a} / {b} at equal loss",
        "inside": INSIDE,
        "N": "N",
        "D": "D",
    }
    # As the text says it, not a ratio beside "-1.5%": files have the numbers of the texts.
    table = comparison.scales
    ratios = [name for name in ("ratio", "ratio_lower", "ratio_upper") if name in table]
    texts = with_intervals(table.assign(**{name: table[name] - 1 for name in ratios}), _WRITTEN)
    return texts[[name for name in columns if name in texts]].rename(columns=columns)


def pairs_table(comparison: ArmComparison) -> pd.DataFrame:
    """The losses of paired runs and their difference; the keys by which they are paired."""
    pairs, (a, b) = comparison.pairs, column_names(comparison.arms)
    table = pairs.table
    first = {name: table[name] for name in ("N", "D") if name in table}
    others = [name for name in pairs.by if name not in first]
    columns = {
        "loss difference": table["ratio"] - 1,
        f"loss of {a}": table["a"],
        f"loss of {b}": table["b"],
    }
    return pd.DataFrame({**first, **columns, **{name: table[name] for name in others}})


def sharing_table(tests: pd.DataFrame) -> pd.DataFrame:
    """What two recipes may share, a hypothesis a row."""

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
