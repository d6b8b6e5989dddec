"""Columns of words, such as corpora or recipes, in which rows differ that are equal to a law."""

from __future__ import annotations

from collections.abc import Collection, Sequence

import pandas as pd

from scalinglab.analysis.tables.exclusion import exclude_advice
from scalinglab.scaling.text.conditions import listed

_NAMES = (
    "run",
    "run_id",
    "run_name",
    "name",
    "Name",
    "parent",
    "status",
    "state",
    "study",
    "role",
    "fingerprint",
    "n_count",
    "counts_from",
    "flops_convention",
    "cluster",
    "family_id",
    "date",
    "time",
    "file",
)


def differing_labels(
    table: pd.DataFrame, keys: Sequence[str], *, but: Collection[str] = ()
) -> dict[str, list[str]]:
    """Columns of words with several values among rows that agree in `keys`, and those values.

    A name that no two rows share, as that of a run, is no label.
    """
    keys = [k for k in keys if k in table]
    words = [
        c
        for c in table
        if c not in {*keys, *but, *_NAMES}
        and not str(c).startswith("_")
        and not pd.api.types.is_numeric_dtype(table[c])
    ]
    if not keys or not words or table.empty:
        return {}
    differing = {}
    group = table.groupby(keys, sort=False).ngroup()
    for column in words:
        labels = table[column].astype("string")
        if (
            1 < labels.nunique() <= labels.notna().sum() / 2
            and (labels.groupby(group).nunique() > 1).any()
        ):
            differing[str(column)] = sorted(labels.dropna().unique())
    return differing


def label_sentences(differing: dict[str, list[str]], keys: Sequence[str]) -> list[str]:
    """One sentence for each column that `differing_labels` found."""
    keep = {
        column: exclude_advice(f"{listed([column])} != {values[0]!r}")
        for column, values in differing.items()
    }
    return [
        f"rows of equal {' and '.join(keys)} differ in {column}"
        f" ({', '.join(values[:4])}{', ...' if len(values) > 4 else ''}): one law for all of them"
        f" mixes recipes; keep one by {keep[column]}, or compare them"
        f" (scaling compare arm={column})"
        for column, values in differing.items()
    ]


def row_name(data: pd.DataFrame, row: int) -> str:
    """A row, by its place, as a reader may find it: the run, or its label in the table."""
    for column in ("run_id", "run"):
        if column in data and pd.notna(data[column].iloc[row]):
            name = str(data[column].iloc[row])
            # The importer calls a run without a name by its row.
            return name if name.startswith("row ") else f"run {name}"
    return f"row {data.index[row]}"
