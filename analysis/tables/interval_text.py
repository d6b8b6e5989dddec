"""Numbers with their intervals as texts: "1.2 (1.1 to 1.3)"."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from types import MappingProxyType
from typing import Any, Self

import numpy as np
import pandas as pd

from scalinglab.analysis.tables.powers import in_powers, power, short
from scalinglab.analysis.tables.typed import records_of

# Columns of relative differences of a loss, and how they are written.
_RELATIVE = {
    **dict.fromkeys(("effect", "per_doubling", "relative error", "loss difference"), "+.2%"),
    **dict.fromkeys(("least", "lead", "rise", "detected_from"), ".2%"),
}
Form = str | Callable[[float], str]

# Formats of columns for which three or four digits do not suit.
_FORMS: dict[str, Form] = {
    **_RELATIVE,
    **dict.fromkeys(
        ("loss", "best_loss", "left", "gain", "final", "law", "predicted", "ratio"), ".4f"
    ),
    **dict.fromkeys(("a", "b"), ".3f"),
    **dict.fromkeys(("reached", "share", "refits_agree"), ".0%"),
    **dict.fromkeys(("resamples agree", "refits agree"), ".0%"),
    **dict.fromkeys(("main effect", "total effect"), ".0%"),
    "largest over smallest mean": ".2f",
    **dict.fromkeys(("wasted", "half_width", "expected precision"), ".1%"),
    **dict.fromkeys(("N", "D"), short),
    "C": power,
}


class NumberText(str):
    """The text of a number that keeps the number, for files and for sorting.

    Attributes
    ----------
    numbers : tuple of float
        The value and, where it has an interval, its lower and upper end.
    """

    numbers: tuple[float, ...]

    def __new__(cls, text: str, numbers: tuple[float, ...] = ()) -> Self:
        """The text; it is compared and written as any other."""
        written = super().__new__(cls, text)
        written.numbers = numbers
        return written


NONE_WRITTEN: Mapping[str, Callable[[float], str]] = MappingProxyType({})


def with_intervals(
    table: pd.DataFrame, written: Mapping[str, Callable[[float], str]] = NONE_WRITTEN
) -> pd.DataFrame:
    """A table of texts with ``x, x_lower, x_upper`` in one column: "1.2 (1.1 to 1.3)".

    Unknown values are left empty, infinite ones are "unbounded". `written` gives the formats
    of some columns.
    """
    shown = {}
    for name in table:
        form = written.get(str(name)) or _FORMS.get(str(name))
        if f"{name}_lower" in table:
            texts = [value_text(row, str(name), form) for row in records_of(table)]
            shown[name] = as_objects(texts)
        elif not str(name).endswith(("_lower", "_upper")):
            shown[name] = as_objects([_plain(value, form or four_digits) for value in table[name]])
    return pd.DataFrame(shown).rename(columns={"tokens_per_parameter": "D/N"})


def intervals_in_cells(table: pd.DataFrame) -> pd.DataFrame:
    """`with_intervals` of a table that has any interval; one without keeps its numbers."""
    return with_intervals(table) if any(f"{name}_lower" in table for name in table) else table


def as_objects(texts: Sequence[str]) -> pd.Series:
    """A column of texts whose numbers are kept: pandas would make plain texts of them."""
    return pd.Series(list(texts), dtype=object)


def relative_form(name: object) -> str | None:
    """How a column of relative differences, or of the ends of their intervals, is written."""
    return _RELATIVE.get(str(name).removesuffix("_lower").removesuffix("_upper"))


def _plain(value: Any, form: Form) -> str:
    if isinstance(value, bool | np.bool_):
        return "yes" if value else "no"
    if isinstance(value, float):
        if np.isnan(value):
            return ""
        return NumberText(in_powers(_written(value, form)), (float(value),))
    return str(value)


def _written(value: float, form: Form) -> str:
    if np.isinf(value):
        return "unbounded"
    return form(value) if callable(form) else f"{value:{form}}"


def four_digits(value: float) -> str:
    """Four digits, without zeros at the end; below a million without an exponent.

    >>> four_digits(22_531.7), four_digits(0.0523), four_digits(3e9)
    ('22,530', '0.0523', '3e+09')
    """
    return _without_exponent(f"{value:.4g}", value, 999_950)


def three_digits(value: float) -> str:
    """Three digits, zeros included; below a million without an exponent."""
    return _without_exponent(f"{value:#.3g}".removesuffix("."), value, 999_500)


def _without_exponent(text: str, value: float, rounds_up: float) -> str:
    """The number in full, unless so many digits round it to a million or more."""
    return f"{float(text):,.0f}" if "e" in text and 1e3 <= abs(value) < rounds_up else text


def value_text(row: dict[str, Any], name: str, form: Form | None = None) -> str:
    """A value and its interval: three digits by default; ends of zero are shown."""
    lower, upper = row.get(f"{name}_lower", np.nan), row.get(f"{name}_upper", np.nan)
    if np.isnan(row[name]):
        return ""
    numbers = (row[name], lower, upper)
    form = form or three_digits
    if form is short and not np.isnan(lower):  # a value and its ends show equally many digits
        form = partial(short, digits=3)
    value, low, high = (_written(v, form) for v in numbers)
    if np.isnan(lower):
        return NumberText(value, numbers[:1])
    return NumberText(f"{value} ({low} to {high})", numbers)


def parameter_text(row: dict[str, Any]) -> str:
    """A parameter of a law in ``value`` with its interval.

    Three decimals, as in sentences; three digits where one of the numbers is large or small.
    """
    numbers = [row["value"], row.get("value_lower", np.nan), row.get("value_upper", np.nan)]
    is_ordinary = all(np.isnan(v) or v == 0 or 0.01 <= abs(v) < 10 for v in numbers)
    return value_text(row, "value", ".3f" if is_ordinary else None)
