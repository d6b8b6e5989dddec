"""Columns that count in thousands, millions or billions: ``params_m * 1e6``."""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping

import pandas as pd


def split_factor(source: str, have: Collection[str]) -> tuple[str, float]:
    """The column and the number of ``NAME * NUMBER``; anything else as it is, times 1."""
    name, _, number = (part.strip() for part in source.rpartition("*"))
    if source in have or name not in have:
        return source, 1.0
    try:
        factor = float(number)
    except ValueError:
        return source, 1.0
    return (name, factor) if math.isfinite(factor) and factor > 0 else (source, 1.0)


def has(table: pd.DataFrame, source: str) -> bool:
    """Whether a table has a column, or what it is a multiple of."""
    return split_factor(source, table.columns)[0] in table


def with_multiples(table: pd.DataFrame, columns: Mapping[str, str] | None) -> pd.DataFrame:
    """The table with a column ``NAME * NUMBER`` for each such multiple that `columns` asks for."""
    found = {}
    for source in (columns or {}).values():
        name, factor = split_factor(source, table.columns)
        if name != source:
            found[source] = pd.to_numeric(table[name], errors="coerce") * factor
    return table.assign(**found)
