"""Tables as LaTeX, for a paper."""

from __future__ import annotations

import re
from collections.abc import Sequence

import pandas as pd

from scalinglab.analysis.tables.symbols import formula, is_formula, symbol

_SPECIAL = {c: f"\\{c}" for c in "&%$#_{}"} | {
    "\\": r"\textbackslash{}",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
}
_PARAMETER = "parameter"  # the column that names parameters of a law
_SIGNS = {"±": r"$\pm$", "−": "$-$", "α": r"$\alpha$", "β": r"$\beta$", "²": "$^2$"}
_RAISED = str.maketrans("⁻⁰¹²³⁴⁵⁶⁷⁸⁹", "-0123456789")
_POWER = re.compile(r"(?:(\d[\d.]*)·)?10([⁻⁰¹²³⁴⁵⁶⁷⁸⁹]+)")
_DIGITS = r"[+-]?\d[\d,]*(?:\.\d+)?(?:e[+-]?\d+)?%?"
_NUMBER = re.compile(rf"({_DIGITS})(?: (\({_DIGITS} to {_DIGITS}\)))?")


def latex(table: pd.DataFrame, caption: str, texts: Sequence[Sequence[str]]) -> str:
    """A table for the package booktabs; `texts` are its formatted cells, by column.

    Numbers stand with their decimal points below each other, intervals in a column beside them.
    Parameters of laws, and a caption that is a formula, are mathematics.
    """
    columns = [_Column(str(name), cells) for name, cells in zip(table, texts, strict=True)]
    rows = [" & ".join(row) + r" \\" for row in zip(*(c.cells for c in columns), strict=True)]
    return "\n".join(
        [
            r"\begin{table}",
            r"  \centering",
            rf"  \caption{{{_caption(caption)}}}",
            rf"  \begin{{tabular}}{{{''.join(c.alignment for c in columns)}}}",
            r"    \toprule",
            "    " + " & ".join(c.name for c in columns) + r" \\",
            r"    \midrule",
            *(f"    {row}" for row in rows),
            r"    \bottomrule",
            r"  \end{tabular}",
            r"\end{table}",
        ]
    )


def _caption(text: str) -> str:
    return formula(text, escape) if is_formula(text) else escape(text)


class _Column:
    """A column of a table: its alignment, its name and its cells, in LaTeX."""

    def __init__(self, name: str, cells: Sequence[str]) -> None:
        parts = [_NUMBER.fullmatch(cell) for cell in cells]
        self.alignment, self.name = "l", escape(name)
        is_parameter = name == _PARAMETER
        self.cells = [f"${symbol(cell)}$" if is_parameter else escape(cell) for cell in cells]
        if not any(parts) or any(
            cell and not part for cell, part in zip(cells, parts, strict=True)
        ):
            return
        numbers = _aligned([part[1] if part else "" for part in parts])
        intervals = [(part and part[2]) or "" for part in parts]
        self.alignment, self.cells = "r", numbers
        if any(intervals):
            self.alignment, self.name = "r@{ }l", rf"\multicolumn{{2}}{{c}}{{{self.name}}}"
            self.cells = [f"{n} & {_numbers(i)}" for n, i in zip(numbers, intervals, strict=True)]


def _aligned(numbers: Sequence[str]) -> list[str]:
    """Numbers that end at one place, those with fewer decimals by room for the others."""
    ends = [number.partition(".")[2].rstrip("%") if "." in number else "" for number in numbers]
    decimals = 0 if any("e" in number for number in numbers) else max(map(len, ends))
    room = [
        max(decimals - len(end), 0) if number else 0
        for number, end in zip(numbers, ends, strict=True)
    ]
    return [
        _numbers(number) + (rf"\phantom{{{'' if end else '.'}{'0' * lacks}}}" if lacks else "")
        for number, end, lacks in zip(numbers, ends, room, strict=True)
    ]


def _numbers(text: str) -> str:
    r"""The numbers of a text with signs and powers as formulas.

    >>> _numbers("-1.4e+04")
    '$-1.4 \\times 10^{4}$'
    """

    def written(number: re.Match[str]) -> str:
        digits, _, exponent = number[0].partition("e")
        if not exponent:
            return f"${digits}$" if digits[0] in "+-" else digits
        raised = f"10^{{{int(exponent)}}}"
        return f"${raised}$" if digits == "1" else rf"${digits} \times {raised}$"

    return re.sub(r"[+-]?\d[\d,]*(?:\.\d+)?(?:e[+-]?\d+)?", written, text).replace("%", r"\%")


def escape(text: str) -> str:
    r"""A text as LaTeX shows it.

    >>> escape("n_matmul & 5%"), escape("3·10²⁰")
    ('n\\_matmul \\& 5\\%', '$3 \\times 10^{20}$')
    """
    signs = _SPECIAL | _SIGNS
    parts = _POWER.split(text)  # text, digits or None, exponent, text, ...
    shown = ["".join(signs.get(c, c) for c in part) for part in parts[::3]]
    for digits, exponent, rest in zip(parts[1::3], parts[2::3], shown[1:], strict=True):
        times = rf"{digits} \times " if digits else ""
        shown[0] += f"${times}10^{{{exponent.translate(_RAISED)}}}${rest}"
    return shown[0]
