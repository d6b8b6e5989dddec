"""The rows of a table that meet a condition."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd

from scalinglab.scaling.text.conditions import ConditionError, listed, parse

Array = np.ndarray
_NONE: Mapping[str, str] = {}


def rows_that_meet(frame: pd.DataFrame, text: str, also: Mapping[str, str] = _NONE) -> Array:
    """The rows in which a condition on the columns holds.

    Parameters
    ----------
    frame : DataFrame
        Columns whose names begin with "_" are not among those that a condition may name.
    text : str
        See `scalinglab.scaling.text.conditions`.
    also : mapping of str to str
        Further names -> the column: the law's names of its columns.

    Returns
    -------
    array of bool, shape (rows,)

    Raises
    ------
    ConditionError
        If the condition cannot be read or applied, or a name is both a column and, in `also`,
        one with other values.
    """
    condition = parse(text)
    place_of: dict[str, int] = {}
    for place, column in enumerate(map(str, frame.columns)):
        if not column.startswith("_"):
            place_of.setdefault(column, place)
    for name in condition.names:
        column = also.get(name, name)
        if (
            column != name
            and name in place_of
            and not (
                column in place_of
                and same_values(frame.iloc[:, place_of[name]], frame.iloc[:, place_of[column]])
            )
        ):
            raise ConditionError(
                text,
                f"{name!r} is ambiguous: columns= says that {name} is {column!r}, and the"
                f" table has a column {name!r}, too; write {column!r}, or rename the table's "
                f"{name!r}",
            )
    places = place_of | {
        name: place_of[column] for name, column in also.items() if column in place_of
    }
    cells = {name: _cells(frame.iloc[:, places[name]]) for name in condition.used(places)}
    return condition.holds({**dict.fromkeys(places), **cells}, len(frame))


def same_values(a: pd.Series, b: pd.Series) -> bool:
    """Whether two columns are equal in every row."""
    return bool(((a == b) | (a.isna() & b.isna())).all())


def columns_of(frame: pd.DataFrame) -> str:
    """The columns that a condition may name, for a message."""
    return listed(c for c in frame.columns if not str(c).startswith("_"))


def _cells(column: pd.Series) -> Array:
    plain = isinstance(column.dtype, np.dtype) and column.dtype.kind in "biuf"
    return column.to_numpy() if plain else column.astype(object).to_numpy()
