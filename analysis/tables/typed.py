"""Typed access to labels, rows and groups of tables.

In the stubs of pandas the label of a column is any Hashable, and a cell one of twenty types. The
labels of our tables are strings.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

import pandas as pd


def names_of(table: pd.DataFrame) -> list[str]:
    """Names of the columns."""
    return [str(name) for name in table.columns]


def rows_of(table: pd.DataFrame) -> Iterable[Any]:
    """The rows as named tuples."""
    return table.itertuples()


def records_of(table: pd.DataFrame) -> list[dict[str, Any]]:
    """The rows as dictionaries."""
    return [{str(name): value for name, value in row.items()} for row in table.to_dict("records")]


def groups_of(
    table: pd.DataFrame, by: str | list[str], sort: bool = True
) -> Iterator[tuple[Any, pd.DataFrame]]:
    """The values of the columns `by`, and the rows that have them."""
    yield from table.groupby(by, sort=sort)


def lowest(table: pd.DataFrame, column: str) -> pd.Series:
    """The row where a column is smallest."""
    label: Any = table[column].idxmin()
    return table.loc[label]


def highest(table: pd.DataFrame, column: str) -> pd.Series:
    """The row where a column is largest."""
    label: Any = table[column].idxmax()
    return table.loc[label]
