"""Rows of an Arrow table as columns for a source of documents."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from scalinglab.scaling.data.documents import Rows


def top_columns(names: Sequence[str], available: Sequence[str]) -> list[str]:
    """The columns to read for some names: ``meta`` for ``meta.lang``, unless that is a column."""
    needed = (name if name in available else name.partition(".")[0] for name in names)
    return [name for name in dict.fromkeys(needed) if name in available]


def rows_of(table: Any, names: Sequence[str], place: Callable[[int], str]) -> Rows:
    """The named columns of a table or a batch of rows; None in all rows of a column it lacks."""
    available = table.schema.names
    columns: dict[str, list[Any]] = {name: [None] * table.num_rows for name in names}
    for top in top_columns(names, available):
        cells = table.column(top).to_pylist()
        for name in names:
            if name == top:
                columns[name] = cells
            elif name not in available and name.startswith(f"{top}."):
                columns[name] = [inner(cell, name.split(".")[1:]) for cell in cells]
    return Rows(columns, place)


def inner(cell: Any, keys: Sequence[str]) -> Any:
    """The value at a path of keys in nested dictionaries; None if there is none."""
    for key in keys:
        cell = cell.get(key) if isinstance(cell, dict) else None
    return cell
