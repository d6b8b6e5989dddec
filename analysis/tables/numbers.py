"""Numbers of tables: decimals to the last bit, large whole numbers as floats."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd

from scalinglab.scaling.errors import UserError

_NAMES = ("run", "run_id", "parent", "cluster", "seed", "fingerprint", "arm")  # labels
_TRUTH = {"true": True, "yes": True, "1": True, "1.0": True}
_TRUTH |= {"false": False, "no": False, "0": False, "0.0": False}
_SAFE = 1_000_000  # products of three such integers are far below 2^63
# pandas before 3.1 is off by one bit in some decimals of 15 and more digits unless it is asked.
_EXACT = tuple(int(part) for part in pd.__version__.split(".")[:2]) >= (3, 1)


def to_numbers(text: pd.Series) -> pd.Series:
    """`pandas.to_numeric` to the last bit; NaN for what is no number."""
    values = pd.to_numeric(text, errors="coerce")
    if not _EXACT and pd.api.types.is_float_dtype(values):
        numbers = np.isfinite(values)
        values = values.where(~numbers, text[numbers].map(float))
    return values


def numbers_in(table: pd.DataFrame, column: str) -> pd.Series:
    """A column as floats.

    Raises
    ------
    UserError
        If it holds words: names the row.
    """
    values = pd.to_numeric(table[column], errors="coerce").astype(float)
    if (wrong := (values.isna() & table[column].notna()).to_numpy()).any():
        first_wrong = int(wrong.argmax())
        raise UserError(
            f"column {column!r} must hold numbers; row {table.index[first_wrong]} has"
            f" {str(table[column].iloc[first_wrong])[:60]!r}"
        )
    return values


def booleans_in(table: pd.DataFrame, column: str) -> pd.Series:
    """A column of yes and no, in words or as 1 and 0, as booleans; None where it is empty.

    Raises
    ------
    UserError
        If it holds anything else: names the row.
    """
    values = table[column].map(lambda cell: _TRUTH.get(str(cell).strip().lower()))
    if (wrong := (values.isna() & table[column].notna()).to_numpy()).any():
        first_wrong = int(wrong.argmax())
        raise UserError(
            f"column {column!r} must hold true or false; row {table.index[first_wrong]} has"
            f" {str(table[column].iloc[first_wrong])[:60]!r}"
        )
    return values


def read_csv_exactly(path: Path) -> pd.DataFrame:
    """A CSV file that was written with all digits, read to the last bit."""
    return pd.read_csv(path, float_precision=None if _EXACT else "round_trip")


def as_floats(table: pd.DataFrame) -> pd.DataFrame:
    """The table with its columns of large integers as floats.

    Integers overflow silently at 2^63, and 6 N D of 10^10 parameters and 10^12 tokens exceeds that.
    Small integers (widths, batches, seeds) and labels stay as they are.
    """
    if not isinstance(table, pd.DataFrame):
        return table
    integer_places = [
        i for i, kind in enumerate(table.dtypes) if pd.api.types.is_integer_dtype(kind)
    ]
    names = [
        name
        for i in integer_places
        if (name := table.columns[i]) not in _NAMES and table.iloc[:, i].abs().max() > _SAFE
    ]
    return table.astype(dict.fromkeys(names, float)) if names else table
