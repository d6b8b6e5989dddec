"""What a store keeps of each of its documents beside the tokens: numbers and categories, by column.

A column is one file a part, a number a document: itself, or the place of its category among those
of the store; NaN where the document has none. The hash of a column is not part of the hash of the
tokens: it becomes part of a run's identity where the run selects or weights documents by it.
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
    """The file of a part's values of the column of that number."""
    return f"{part}_column_{number}.bin"


def values_of(
    name: str, values: Sequence[Any], numbers: Sequence[int], place: Callable[[int], str]
) -> list[Value]:
    """Values as they are kept: numbers, strings, None.

    Parameters
    ----------
    name : str
        The column.
    values : sequence
        As they were read.
    numbers : sequence of int
        Of their rows.
    place : callable
        Where a row stands, for messages.

    Raises
    ------
    ConfigError
        If one is neither a number nor a string.
    """
    found: list[Value] = []
    for value, number in zip(values, numbers, strict=True):
        if value is None or isinstance(value, str):
            found.append(value)
        elif isinstance(value, int | float | np.number):
            try:
                found.append(float(value))
            except OverflowError:
                raise ConfigError(
                    f"{place(number)}: the column {name!r} (data.options.columns) holds a whole number"
                    " beyond all floats"
                ) from None
        else:
            raise ConfigError(
                f"{place(number)}: the column {name!r} (data.options.columns) holds {str(value)[:40]!r},"
                " which is neither a number nor a string"
            )
    return found


@dataclass
class ColumnKinds:
    """What the columns of a store that is being written hold, so far.

    Attributes
    ----------
    kinds : dict
        Column -> `NUMBER` or `CATEGORY`, once a document has a value.
    categories : dict
        Column -> its strings, in the order in which they came.
    """

    kinds: dict[str, str] = field(default_factory=dict)
    categories: dict[str, list[str]] = field(default_factory=dict)

    def numbers(self, name: str, values: Sequence[Value]) -> np.ndarray:
        """The values of further documents as they are written, float64.

        Raises
        ------
        ConfigError
            If a column holds numbers and strings, or too many different strings.
        """
        known = {text: i for i, text in enumerate(self.categories.get(name, []))}
        found = np.full(len(values), np.nan)
        for i, value in enumerate(values):
            if value is None:
                continue
            kind = CATEGORY if isinstance(value, str) else NUMBER
            if self.kinds.setdefault(name, kind) != kind:
                raise ConfigError(
                    f"data.options.columns: {name!r} holds numbers and strings, as {value!r}: a"
                    " column is one or the other"
                )
            found[i] = known.setdefault(value, len(known)) if isinstance(value, str) else value
        if len(known) > MOST_CATEGORIES:
            raise ConfigError(
                f"data.options.columns: {name!r} has more than {MOST_CATEGORIES:,} different"
                " strings: as many categories are allowed"
            )
        if known:
            self.categories[name] = list(known)
        return found

    def described(self, folder: Path, names: Sequence[str], parts: Sequence[str]) -> dict[str, Any]:
        """What the manifest of the written store says of its columns, by name."""
        found = {}
        for i, name in enumerate(names):
            about: dict[str, Any] = {"file": i, "kind": self.kinds.get(name, NUMBER)}
            if name in self.categories:
                about["categories"] = self.categories[name]
            found[name] = about | {"hash": column_hash(folder, about, parts)}
        return found


def column_hash(folder: Path, about: Mapping[str, Any], parts: Sequence[str]) -> str:
    """Of what a column holds: its values in each part, and what they stand for."""
    content = hashlib.sha256(f"{about['kind']} {about.get('categories', [])!r}\n".encode())
    for part in parts:
        data = (folder / column_file(part, about["file"])).read_bytes()
        content.update(f"{part} {len(data)}\n".encode())
        content.update(data)
    return content.hexdigest()[:16]


@dataclass(frozen=True)
class Column:
    """A column of a part of a store.

    Attributes
    ----------
    numbers : ndarray
        A number a document, float64.
    categories : list of str or None
        What they stand for; None: themselves.
    """

    numbers: np.ndarray
    categories: list[str] | None

    def values(self) -> np.ndarray:
        """What each document has: numbers, NaN for none; or strings, None for none."""
        if self.categories is None:
            return np.asarray(self.numbers)
        strings = np.array([*self.categories, None], dtype=object)
        missing = np.isnan(self.numbers)
        places = np.where(missing, len(self.categories), self.numbers).astype(np.int64)
        found: np.ndarray = strings[places]
        return found
