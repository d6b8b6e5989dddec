"""Rows of a table of Arrow as the columns that a source of documents wants."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from scalinglab.scaling.data.documents import Rows


def top_columns(names: Sequence[str], there: Sequence[str]) -> list[str]:
    """The columns to read for some names: ``meta`` for ``meta.lang``, if it is no column itself."""
    wanted = (name if name in there else name.partition(".")[0] for name in names)
    return [name for name in dict.fromkeys(wanted) if name in there]


def rows_of(table: Any, names: Sequence[str], place: Callable[[int], str]) -> Rows:
    """The columns of those names of a table or a batch of rows; those that it lacks are absent."""
    there = table.schema.names
    columns: dict[str, list[Any]] = {}
    for top in top_columns(names, there):
        values = table.column(top).to_pylist()
        for name in names:
            if name == top:
                columns[name] = values
            elif name not in there and name.startswith(f"{top}."):
                columns[name] = [inner(value, name.split(".")[1:]) for value in values]
    return Rows(columns, place)


def inner(value: Any, keys: Sequence[str]) -> Any:
    """What a row holds below some keys; None where it has nothing there."""
    for key in keys:
        value = value.get(key) if isinstance(value, dict) else None
    return value
