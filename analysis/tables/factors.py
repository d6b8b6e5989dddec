"""Formulas of columns: ``params_m * 1e6``, ``embedding + block``, ``log(perplexity)``."""

from __future__ import annotations

import functools
import math
import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd

_FUNCTION = re.compile(r"(log|exp)\((.*)\)")
_MOST_TERMS = 100
_FUNCTIONS = {"log": np.log, "exp": np.exp}


@dataclass(frozen=True)
class Formula:
    """A sum of columns, each times a number, optionally inside a function.

    Attributes
    ----------
    terms : tuple of (str, float)
        Column of the table, and its factor.
    function : str
        "log", "exp", or "" for neither.
    """

    terms: tuple[tuple[str, float], ...]
    function: str = ""

    @property
    def columns(self) -> list[str]:
        """The columns that it reads."""
        return [name for name, _ in self.terms]

    @property
    def plain(self) -> bool:
        """Whether it is one column, unchanged."""
        return not self.function and len(self.terms) == 1 and self.terms[0][1] == 1.0

    def value(self, cells: Mapping[str, np.ndarray]) -> np.ndarray:
        """Its value for columns of numbers, shape (rows,)."""
        parts = [np.asarray(cells[name], float) * factor for name, factor in self.terms]
        total = functools.reduce(np.add, parts)
        with np.errstate(all="ignore"):
            return _FUNCTIONS[self.function](total) if self.function else total


def read_formula(source: str, have: Collection[str]) -> Formula | None:
    """The formula in a text, for a table with some columns; None if it names another column.

    A text that is the name of a column is that column, whatever signs it contains.
    """
    source = source.strip()
    if source in have:
        return Formula(((source, 1.0),))
    match = _FUNCTION.fullmatch(source)
    if match:
        inner = read_formula(match[2], have)
        return None if inner is None or inner.function else Formula(inner.terms, match[1])
    terms = _terms(source, have)
    return None if terms is None else Formula(tuple(terms))


def _terms(source: str, have: Collection[str]) -> list[tuple[str, float]] | None:
    """The terms of a sum: names may hold a plus sign themselves."""
    single = _term(source, have) if source.count("+") < _MOST_TERMS else None
    if single is not None:
        return [single]
    for plus in (m.start() for m in re.finditer(r"\+", source)):
        first = _term(source[:plus], have)
        further = None if first is None else _terms(source[plus + 1 :], have)
        if first is not None and further is not None:
            return [first, *further]
    return None


def _term(source: str, have: Collection[str]) -> tuple[str, float] | None:
    """``NAME``, ``NAME * NUMBER`` or ``NUMBER * NAME``."""
    source = source.strip()
    if source in have:
        return source, 1.0
    for cut in (source.rpartition("*"), source.partition("*")):
        sides = [cut[0].strip(), cut[2].strip()]
        for name, number in (sides, sides[::-1]):
            factor = _positive(number)
            if name in have and factor is not None:
                return name, factor
    return None


def _positive(text: str) -> float | None:
    try:
        number = float(text)
    except ValueError:
        return None
    return number if math.isfinite(number) and number > 0 else None


def has(table: pd.DataFrame, source: str) -> bool:
    """Whether a table has a column, or all columns of a formula."""
    return read_formula(source, table.columns) is not None


def with_multiples(table: pd.DataFrame, columns: Mapping[str, str] | None) -> pd.DataFrame:
    """The table with a column for each formula in `columns`."""
    multiples = {}
    for source in (columns or {}).values():
        if not isinstance(source, str) or source in table.columns:
            continue
        formula = read_formula(source, table.columns)
        if formula is not None:
            multiples[source] = formula.value(
                {
                    c: pd.to_numeric(table[c], errors="coerce").to_numpy(float)
                    for c in formula.columns
                }
            )
    return table.assign(**multiples)
