"""Whole numbers as floats: 6 N D of a large run is more than a 64-bit integer holds."""

from __future__ import annotations

import pandas as pd

_NAMES = ("run", "run_id", "parent", "cluster", "seed", "fingerprint")  # labels, not quantities


def as_floats(table: pd.DataFrame) -> pd.DataFrame:
    """The table with its columns of integers as floats.

    Integers wrap around at 2^63 without a word, and 6 N D of 10^10 parameters and 10^12 tokens is
    beyond that. Columns that name something (runs, seeds, clusters) stay as they are.
    """
    whole = [i for i, kind in enumerate(table.dtypes) if pd.api.types.is_integer_dtype(kind)]
    names = [c for c in table.columns[whole] if c not in _NAMES]
    return table.astype(dict.fromkeys(names, float)) if names else table
