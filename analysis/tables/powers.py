"""Large and small numbers as people write them: 3·10¹² where a page or a figure shows 3e+12."""

from __future__ import annotations

import re

import numpy as np

_EXACT = 2.0**53  # below it every whole number is a float of its own
_PRINTED = {"-": "−", ">=": "≥", "<=": "≤"}
_SIGN = re.compile(r"\[[^]]*\]|`[^`]*`|(?<![\w.=:/+-])-(?=\d)|(?<= )[<>]=(?= )")
_RAISED = str.maketrans("0123456789-", "⁰¹²³⁴⁵⁶⁷⁸⁹⁻")
# What a person could type again, in brackets or backticks, stays as it is.
_WRITTEN = re.compile(r"\[[^]]*\]|`[^`]*`|(?<![\w.=])(\d(?:\.\d+)?)e([+-]\d+)(?![\w.])")


def power(value: float) -> str:
    """A number as a power of ten, in characters: no formula, so text stays text in every format.

    >>> power(1e13), power(3e12), power(0.002)
    ('10¹³', '3·10¹²', '2·10⁻³')
    """
    if not value > 0 or not np.isfinite(value):
        return f"{value:g}"
    digits, exponent = f"{value:.2e}".split("e")
    return _power(digits.rstrip("0").rstrip("."), exponent)


def as_key(value: float, digits: int) -> int | float | None:
    """A number for a file: a whole one in full, any other in so many digits, None if it is none.

    Readers join tables by N, D and C, and compute 6 N D: a rounded count is no key.

    >>> as_key(91737292800.0, 8), as_key(1.0569731224, 8), as_key(float("inf"), 8)
    (91737292800, 1.0569731, None)
    """
    if not np.isfinite(value):
        return None
    if value % 1 == 0:  # beyond 2^53 its shortest decimal text gives the same number again
        return int(value) if abs(value) < _EXACT else float(value)
    return float(f"{value:.{digits}g}")


def short(value: float, digits: int | None = None) -> str:
    """A count of parameters or tokens in three digits, or in `digits` of them with zeros at the end.

    >>> short(82_400), short(2.5e9), short(2.5e9, 3), short(350e6, 1)
    ('82.4k', '2.5B', '2.50B', '350M')
    """
    for size, letter in ((1e12, "T"), (1e9, "B"), (1e6, "M"), (1e3, "k")):
        if value >= 0.9995 * size:
            text = f"{value / size:.3g}"
            if digits is not None:
                text = f"{float(text):.{max(digits - len(text.partition('.')[0]), 0)}f}"
            return text + letter
    return f"{value:.3g}"


def of_column(name: str, value: float) -> str:
    """A value of a column: counts of parameters and tokens short, all else in three digits.

    >>> of_column("N", 1.8e9), of_column("C", 1.8e21)
    ('1.8B', '1.8e+21')
    """
    return short(value) if name in ("N", "D") else f"{value:.3g}"


def in_powers(text: str) -> str:
    """A text whose numbers with an exponent are powers of ten, their digits as they were.

    >>> in_powers("C = 1e+12, N = 1.40e-05 in exclude=['D < 1e+09']")
    "C = 10¹², N = 1.40·10⁻⁵ in exclude=['D < 1e+09']"
    """
    return _WRITTEN.sub(lambda m: _power(m[1], m[2]) if m[1] else m[0], text)


def in_print(text: str) -> str:
    """A text as a page shows it: powers of ten, minus signs and signs of order as in print.

    >>> in_print("2e-05 to 3, N >= 1k; exclude=['D <= 1']")
    "2·10⁻⁵ to 3, N ≥ 1k; exclude=['D <= 1']"
    """
    return _SIGN.sub(lambda m: _PRINTED.get(m[0], m[0]), in_powers(text))


def _power(digits: str, exponent: str) -> str:
    raised = f"10{str(int(exponent)).translate(_RAISED)}"
    return raised if digits == "1" else f"{digits}·{raised}"
