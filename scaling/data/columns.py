"""Columns of a store: a number or a category of each document, besides its tokens.

A column is one file for each part, with one float a document: the number itself, or the index of
the category; NaN if the document has none. The hash of a column is separate from the hash of the
tokens: it is part of a run's identity only if the run selects or weights documents by it.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from scalinglab.scaling.errors import ConfigError

VALUES = "float64"
NUMBER, CATEGORY = "number", "category"
MOST_CATEGORIES = 10_000
Value = float | str | None


def column_file(part: str, number: int) -> str:
    """The file of a column, by its number, for one part."""
    return f"{part}_column_{number}.bin"


def values_of(
    name: str, values: Sequence[Any], numbers: Sequence[int], place: Callable[[int], str]
) -> list[Value]:
    """The values of a column in stored form: floats, strings, None.

    Parameters
    ----------
    name : str
        The column.
    values : sequence
        The values as the source gave them.
    numbers : sequence of int
        The numbers of their rows.
    place : callable
        Number of a row -> its place, for messages.

    Raises
    ------
    ConfigError
        If a value is neither a number nor a string.
    """
    stored: list[Value] = []
    for value, number in zip(values, numbers, strict=True):
        cell = f"{place(number)}: the column {name!r} (data.options.columns)"
        if value is None or isinstance(value, str):
            stored.append(value)
        elif isinstance(value, int | float | np.number):
            try:
                stored.append(float(value))
            except OverflowError:
                raise ConfigError(f"{cell} holds a whole number beyond all floats") from None
        else:
            raise ConfigError(
                f"{cell} holds {str(value)[:40]!r}, which is neither a number nor a string"
            )
    return stored


@dataclass
class ColumnKinds:
    """The kinds and categories of the columns while a store is written.

    Attributes
    ----------
    kinds : dict
        Column -> `NUMBER` or `CATEGORY`, once a document has a value.
    categories : dict
        Column -> its strings, in the order of their first document.
    """

    kinds: dict[str, str] = field(default_factory=dict)
    categories: dict[str, list[str]] = field(default_factory=dict)

    def numbers(self, name: str, values: Sequence[Value]) -> np.ndarray:
        """The values of further documents as numbers, float64.

        Raises
        ------
        ConfigError
            If a column holds numbers and strings, or too many different strings.
        """
        indices = {text: i for i, text in enumerate(self.categories.get(name, []))}
        numbers = np.full(len(values), np.nan)
        for i, value in enumerate(values):
            if value is None:
                continue
            kind = CATEGORY if isinstance(value, str) else NUMBER
            if self.kinds.setdefault(name, kind) != kind:
                raise ConfigError(
                    f"data.options.columns: {name!r} holds numbers and strings, as {value!r}: a"
                    " column is one or the other"
                )
            if isinstance(value, str):
                numbers[i] = indices.setdefault(value, len(indices))
            else:
                numbers[i] = value
        if len(indices) > MOST_CATEGORIES:
            raise ConfigError(
                f"data.options.columns: {name!r} has more than {MOST_CATEGORIES:,} different"
                " strings: as many categories are allowed"
            )
        if indices:
            self.categories[name] = list(indices)
        return numbers

    def described(self, folder: Path, names: Sequence[str], parts: Sequence[str]) -> dict[str, Any]:
        """Column -> its entry in the manifest of the written store."""
        entries = {}
        for i, name in enumerate(names):
            entry: dict[str, Any] = {"file": i, "kind": self.kinds.get(name, NUMBER)}
            if name in self.categories:
                entry["categories"] = self.categories[name]
            entries[name] = entry | {"hash": column_hash(folder, entry, parts)}
        return entries


def column_hash(folder: Path, entry: Mapping[str, Any], parts: Sequence[str]) -> str:
    """The hash of a column: of its numbers in each part and of its categories."""
    content = hashlib.sha256(f"{entry['kind']} {entry.get('categories', [])!r}\n".encode())
    for part in parts:
        numbers = (folder / column_file(part, entry["file"])).read_bytes()
        content.update(f"{part} {len(numbers)}\n".encode())
        content.update(numbers)
    return content.hexdigest()[:16]


@dataclass(frozen=True)
class Column:
    """A column of a part of a store.

    Attributes
    ----------
    numbers : ndarray
        A number a document, float64.
    categories : list of str or None
        The strings of which `numbers` are indices; None for a column of numbers.
    """

    numbers: np.ndarray
    categories: list[str] | None

    def values(self) -> np.ndarray:
        """The value of each document: numbers with NaN, or strings with None, if it has none."""
        if self.categories is None:
            return np.asarray(self.numbers)
        strings = np.array([*self.categories, None], dtype=object)
        is_missing = np.isnan(self.numbers)
        indices = np.where(is_missing, len(self.categories), self.numbers).astype(np.int64)
        values: np.ndarray = strings[indices]
        return values
