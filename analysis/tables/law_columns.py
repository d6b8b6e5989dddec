"""The columns of a law in a table, and the table with the law's names."""

from __future__ import annotations

from collections.abc import Mapping

import pandas as pd

from scalinglab.analysis.laws.law import Law
from scalinglab.analysis.tables.condition import same_values
from scalinglab.scaling.errors import UserError

_CONVENTIONS = {"N": "n_count", "C": "flops_convention"}  # columns that say how these were counted


def rename_columns(
    law: Law, frame: pd.DataFrame, columns: Mapping[str, str] | None, *, response: bool = True
) -> dict[str, str]:
    """Column of the law -> column of the table, for every column the law reads.

    Raises
    ------
    UserError
        If `columns` names something the law does not read, or a column is missing.
    """
    needed = dict(law.inputs)
    if response:
        needed[law.response] = "the measured response"
    names = dict(columns or {})
    if not response:
        names.pop(law.response, None)
    for name in names:
        if name not in needed:
            raise UserError(f"columns: {law.name} reads no {name!r}, only {', '.join(needed)}")
    renamed = {name: names.get(name, name) for name in needed}
    for name, source in renamed.items():
        if source not in frame.columns:
            have = ", ".join(str(c) for c in frame.columns if not str(c).startswith("_"))
            raise UserError(
                f"{law.name} needs column {source!r} ({name}: {needed[name]}); the table has {have}"
                f" (if it goes by another name: columns={{{name!r}: ...}}, or columns.{name}=NAME)"
            )
    return renamed


def column_named(
    table: pd.DataFrame, name: str, columns: Mapping[str, str] | None, option: str
) -> str:
    """The column of a table that an option names, by the table's name or by the law's.

    Raises
    ------
    UserError
        If there is none, or both names exist with different values.
    """
    source = (columns or {}).get(name, name)
    if source not in table.columns:
        raise UserError(f"{option}: the table has no column {source!r}")
    if name in table.columns and not same_values(table[name], table[source]):
        raise UserError(
            f"{option}={name!r} is ambiguous: columns= says that {name} is {source!r},"
            f" and the table has a column {name!r}, too; say {option}={source!r}"
        )
    return source


def as_law_columns(frame: pd.DataFrame, renamed: Mapping[str, str]) -> pd.DataFrame:
    """The table with the law's own column names.

    A column that is read under another name goes, and so does one of the table that has the name
    of a column of the law but is not read as it.
    """
    sources = {name: source for name, source in renamed.items() if source != name}
    gone = {*sources, *sources.values()} & set(frame.columns)
    return frame.drop(columns=list(gone)).assign(**{n: frame[s] for n, s in sources.items()})


def conventions_of(frame: pd.DataFrame, renamed: Mapping[str, str]) -> dict[str, str]:
    """Column of the law -> the conventions by which it was counted, joined by "and"."""
    counts = {}
    for name, source in renamed.items():
        column = _CONVENTIONS.get(source)
        if column in frame.columns:
            counts[name] = " and ".join(sorted(frame[column].dropna().astype(str).unique()))
    return counts
