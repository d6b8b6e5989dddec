"""Whole numbers as floats: 6 N D of a large run is more than a 64-bit integer holds."""

from __future__ import annotations

import pandas as pd

_NAMES = ("run", "run_id", "parent", "cluster", "seed", "fingerprint", "arm")  # labels
_SAFE = 1_000_000  # products of three such integers are far below 2^63


def as_floats(table: pd.DataFrame) -> pd.DataFrame:
    """The table with its columns of large integers as floats.

    Integers wrap around at 2^63 without a word, and 6 N D of 10^10 parameters and 10^12 tokens is
    beyond that. Small ones (widths, batches, seeds) and those that name something stay as they are.
    """
    if not isinstance(table, pd.DataFrame):
        return table
    whole = [i for i, kind in enumerate(table.dtypes) if pd.api.types.is_integer_dtype(kind)]
    names = [
        name
        for i in whole
        if (name := table.columns[i]) not in _NAMES and table.iloc[:, i].abs().max() > _SAFE
    ]
    return table.astype(dict.fromkeys(names, float)) if names else table
