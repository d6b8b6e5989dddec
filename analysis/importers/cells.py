"""Cells of text as numbers: thousands, decimal commas, and 1.2B where a number counts things."""

from __future__ import annotations

import re

import numpy as np
import pandas as pd

from scalinglab.analysis.tables.numbers import to_numbers

UNITS = {"": 1.0, "k": 1e3, "m": 1e6, "b": 1e9, "g": 1e9, "t": 1e12}
_GROUPED = re.compile(r"[-+]?\d{1,3}([,_'\u00a0\u202f\u2009 ]\d{3})+(\.\d*)?")
_SCALED = re.compile(r"([-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?)\s?([kKmMbBgGtT])")
_MISSING = ("", "na", "n/a", "none", "null", "-", "--", "<na>")
NOT_FINITE = ("nan", "inf", "-inf", "+inf", "infinity", "-infinity")


def numbers(
    cells: pd.Series, *, counts: bool = False, decimal: str = "."
) -> tuple[np.ndarray, np.ndarray, int | None]:
    """Cells as numbers.

    Parameters
    ----------
    cells : Series
    counts : bool
        Whether they count things: then 70M is 7e7.
    decimal : {".", ","}

    Returns
    -------
    values : array of float, shape (n,)
        NaN where there is none.
    not_finite : array of bool, shape (n,)
        Where the cell said that its number was not finite ("nan", "inf").
    bad : int or None
        Position of the first cell that is neither.
    """
    if pd.api.types.is_bool_dtype(cells):
        cells = cells.astype(str)
    if pd.api.types.is_numeric_dtype(cells):
        values = cells.to_numpy(float, na_value=np.nan)
        return values, np.isinf(values), None
    if cells.dtype == object and not cells.map(lambda c: isinstance(c, str | bool)).any():
        values = pd.to_numeric(cells, errors="coerce").to_numpy(float)
        return values, np.isinf(values), None
    text = cells.where(cells.notna(), "").astype(str).str.strip()
    if decimal == ",":
        text = text.str.replace(".", "", regex=False).str.replace(",", ".", regex=False)
    values = to_numbers(text).to_numpy(float, na_value=np.nan).copy()
    not_finite, bad = np.isinf(values), None
    left = np.flatnonzero(np.isnan(values) & (text != "").to_numpy())
    meaning = {cell: _meaning(cell, counts) for cell in text.iloc[left].unique()}
    for at, cell in zip(left, text.iloc[left], strict=True):
        value = meaning[cell]
        if value is None:
            bad = int(at) if bad is None else bad
        else:
            values[at], not_finite[at] = (np.nan, True) if np.isinf(value) else (value, False)
    return values, not_finite, bad


def _meaning(cell: str, counts: bool) -> float | None:
    """The number that a cell spells: NaN if it is missing, inf if it was none, None if unclear."""
    if cell.lower() in NOT_FINITE:
        return np.inf
    if cell.lower() in _MISSING:
        return np.nan
    if _GROUPED.fullmatch(cell):
        return float(re.sub(r"[^\d.eE+-]", "", cell))
    scaled = _SCALED.fullmatch(cell)
    if counts and scaled:
        return float(scaled[1]) * UNITS[scaled[2].lower()]
    return None
