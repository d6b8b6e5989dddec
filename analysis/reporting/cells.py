"""Tables of a page: each cell as people read it, and the number that it stands for."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from scalinglab.analysis.tables.interval_text import NumberText, relative_form
from scalinglab.analysis.tables.powers import as_key, short

_PROSE = 60  # characters of a cell, from which it is broken into lines
_PHONE = 46  # characters of a table across a telephone
_GAP = 1.5  # between columns
_SMALL = 0.9  # size of the letters of an interval below its value
_PROSE_WIDTH = 18  # of a column of sentences there
_BETWEEN = re.compile(r"^(\S+) (\([^()]+ to [^()]+\))$")  # 1.2 (1.1 to 1.3)
_ONE_SIZE = 20.0  # ratio of the largest to the smallest number of a column
_IN_FULL = 1e7  # below it whole numbers other than counts are read in full
_DIGITS = 8  # of the numbers beside the texts: for files and for sorting
_COMPUTE = frozenset(("C", "C = 6 N D"))  # FLOPs, in three digits as figures write them
# Columns of parameters and tokens, which figures and sentences write as 82.4k or 2.5B.
_COUNTS = frozenset(
    ("N", "D", "n_block", "n_matmul", "n_total", "n_active", "tokens", "unique_tokens")
)


@dataclass(frozen=True)
class Column:
    """A column of a table as the page shows it.

    Attributes
    ----------
    name : str
    numeric : bool
    prose : bool
        Whether its cells are sentences.
    texts : sequence of str
    numbers : sequence of str
        What a cell stands for, where that is a number whose text is another; else empty.
    ends : sequence of str
        Both ends of its interval, with a space between; empty without one.
    """

    name: str
    numeric: bool
    prose: bool
    texts: Sequence[str]
    numbers: Sequence[str]
    ends: Sequence[str]


def columns_of(frame: pd.DataFrame, most_rows: int) -> list[Column]:
    """The columns of a table; numbers are set to the right."""
    columns = []
    for name in frame:
        texts = _texts(frame[name])
        numeric = pd.api.types.is_numeric_dtype(frame[name]) and frame[name].dtype != bool
        is_prose = not numeric and any(len(text) > _PROSE for text in texts[:most_rows])
        kept = [value.numbers if isinstance(value, NumberText) else () for value in frame[name]]
        if numeric:
            kept = [
                () if text.isdigit() else (v,) for v, text in zip(frame[name], texts, strict=True)
            ]
        numbers = ["" if not of or pd.isna(of[0]) else _exact(of[0]) for of in kept]
        ends = [" ".join(map(_exact, of[1:])) for of in kept]
        columns.append(Column(str(name), numeric, is_prose, texts, numbers, ends))
    return columns


def _exact(value: float) -> str:
    """The number behind a cell, for files and for sorting."""
    key = as_key(float(value), _DIGITS)
    return str(value) if key is None else str(key)


def is_wide(columns: Sequence[Column]) -> bool:
    """Whether a telephone cannot show a table's columns beside each other."""
    return sum(map(_width, columns)) > _PHONE


def beyond_a_phone(columns: Sequence[Column]) -> set[str]:
    """Columns that a telephone leaves out of a long table: those behind what fits, never a loss."""
    left, hidden = float(_PHONE), set[str]()
    for column in sorted(columns, key=lambda column: column.name != "loss"):
        left -= _width(column)
        if left < 0:
            hidden.add(column.name)
    return hidden


def interval_apart(text: str) -> tuple[str, str] | None:
    """The value and the interval of a cell, which stand below each other where it is narrow."""
    parts = _BETWEEN.match(text)
    return (parts[1], parts[2]) if parts else None


def _width(column: Column) -> float:
    """Characters that a column takes on a narrow screen: words may break, numbers may not."""
    words = max(map(len, column.name.split()), default=0)
    if column.prose:
        return max(words, _PROSE_WIDTH) + _GAP
    lengths = [float(words)]
    for text in column.texts:
        value, between = interval_apart(text) or (text, "")
        unbroken = len(value) if column.numeric else max(map(len, value.split()), default=0)
        lengths.append(max(unbroken, _SMALL * len(between)))
    return max(lengths) + _GAP


def detail(value: object) -> object:
    """A value of a run as a page keeps it: a number, a boolean, a text, or None for what is not."""
    if isinstance(value, bool | np.bool_):
        return bool(value)
    if isinstance(value, int | np.integer):
        return int(value)
    if isinstance(value, float):
        return as_key(value, _DIGITS)
    return str(value)


def _texts(values: pd.Series) -> list[str]:
    """Texts of a column; numbers of about one size have as many decimals as the longest."""
    is_number = pd.api.types.is_numeric_dtype(values)
    if is_number and (form := relative_form(values.name)):
        return ["" if pd.isna(value) else f"{value:{form}}" for value in values]
    if not pd.api.types.is_numeric_dtype(values) or values.dtype == bool:
        return [_text(value) for value in values]
    numbers = values.dropna()
    are_whole, largest = (numbers % 1 == 0).all(), numbers.abs().max()
    if values.name in _COUNTS or (values.name in _COMPUTE and largest >= _IN_FULL):
        return _of_equal_digits(values)
    if values.name == "seconds":
        decimals = 2 if largest < 10 else 1 if largest < 1000 else 0
        return ["" if pd.isna(value) else f"{value:,.{decimals}f}" for value in values]
    texts = [_text(value) for value in values]
    if not pd.api.types.is_float_dtype(values):
        return texts
    if are_whole and largest < _IN_FULL:  # counts that a gap made floats
        return ["" if pd.isna(value) else f"{value:,.0f}" for value in values]
    sizes = values.abs()[values.abs() > 0]
    if sizes.empty or sizes.max() > _ONE_SIZE * sizes.min() or any("e" in t for t in texts):
        return texts
    decimals = max(len(text.partition(".")[2]) for text in texts)
    return ["" if pd.isna(value) else f"{value:.{decimals}f}" for value in values]


def _of_equal_digits(values: pd.Series) -> list[str]:
    """Counts or compute in as many digits as the column needs, at most three: 1.10B below 1.08B."""
    mantissas = [f"{value:.2e}".partition("e")[0].rstrip("0") for value in values.dropna()]
    digits = max((len(mantissa.replace(".", "")) for mantissa in mantissas), default=1)
    if values.name in _COUNTS:
        return ["" if pd.isna(value) else short(value, digits) for value in values]
    return ["" if pd.isna(value) else f"{value:.{digits - 1}e}" for value in values]


def _text(value: object) -> str:
    if isinstance(value, bool | np.bool_):
        return "yes" if value else "no"
    if isinstance(value, int | np.integer):
        return f"{value:,}"
    if isinstance(value, float):
        return "" if pd.isna(value) else f"{value:.{_significant(value)}g}"
    return str(value)


def _significant(value: float) -> int:
    """Digits that tell losses apart, and fewer of what is small: an error, a p."""
    return 5 if abs(value) >= 1 else 4 if abs(value) >= 0.1 else 3
