"""Raw rows, as a file or a tracker gives them: the output of every format's reader."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path, PurePath
from typing import Any

import numpy as np
import pandas as pd

from scalinglab.scaling.errors import UserError

_MOST_NESTED = 64  # entries of a list inside a record that become columns of their own


class BadRun(UserError):
    """One run that cannot be read; where there are others it leaves itself out, named."""


@dataclass
class LeftOut:
    """Runs that could not be read, and why."""

    why: dict[str, BadRun] = field(default_factory=dict)

    @property
    def runs(self) -> set[str]:
        """Their names."""
        return set(self.why)

    def notes(self) -> list[str]:
        """A sentence for each."""
        return [f"left out: {error}" for error in self.why.values()]

    def unless_all(self, runs: int) -> None:
        """Raise the first reason where no run is left."""
        if self.why and len(self.why) >= runs:
            raise next(iter(self.why.values()))


@dataclass(frozen=True)
class Raw:
    """Rows under their own names, with nothing decided yet.

    Attributes
    ----------
    frame : DataFrame
        Cells of text formats are text: "" was not measured, "nan" was not a number. Column names
        are text and unique.
    name : str
        Where the rows come from, for messages; the run's name where there is no other.
    first : int
        Number of the first row in the file, as an editor counts lines.
    facts : dict
        What holds for every row: a configuration, the run's name.
    notes : tuple of str
        What reading had to decide.
    rows : array of int, optional
        Number of each row in the file, where they are not one after the other.
    decimal : {".", ","}
        What stands between whole part and fraction in cells of text.
    path : Path, optional
        The file or folder: it tells apart those of one name.
    one_run : bool
        All rows are of one run, whatever columns there are.
    beside : bool
        Whether the rows are scores of runs that another table describes, by their ``run``.
    """

    frame: pd.DataFrame
    name: str
    first: int = 2
    facts: dict[str, object] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    rows: np.ndarray | None = None
    decimal: str = "."
    path: Path | None = None
    one_run: bool = False
    beside: bool = False

    @property
    def numbers(self) -> np.ndarray:
        """Number of each row in the file, shape (rows,)."""
        return np.arange(len(self.frame)) + self.first if self.rows is None else self.rows


def of_records(records: Sequence[Mapping[str, Any]]) -> pd.DataFrame:
    """Dictionaries, nested or not, as a table; keys of inner ones are joined by dots.

    A cell that a record lacks, and null, is None; a number that was none is the word "nan".
    """
    flat = [dict(flatten(record)) for record in records]
    names = dict.fromkeys(key for record in flat for key in record)
    return pd.DataFrame(
        {name: pd.Series([r.get(name) for r in flat], dtype=object) for name in names}
    )


def flatten(node: Any, path: str = "") -> Iterable[tuple[str, Any]]:
    """``(dotted path, value)`` of every plain value; long lists are left out."""
    if isinstance(node, Mapping):
        for key, value in node.items():
            yield from flatten(value, f"{path}.{key}" if path else str(key))
    elif isinstance(node, list):
        if len(node) <= _MOST_NESTED and any(isinstance(v, Mapping) for v in node):
            for k, value in enumerate(node):
                yield from flatten(value, f"{path}.{k}")
    elif isinstance(node, float) and not np.isfinite(node):
        yield path, str(node)
    elif node is None or isinstance(node, str | int | float | bool):
        yield path, node


def named_apart(raws: Sequence[Raw]) -> list[Raw]:
    """Tables of one name get as much of their folders before it as tells them apart.

    Raises
    ------
    UserError
        If one file is given twice.
    """
    by_name: dict[str, list[int]] = {}
    for k, raw in enumerate(raws):
        by_name.setdefault(raw.name, []).append(k)
    named = list(raws)
    for numbers in by_name.values():
        if len(numbers) == 1:
            continue
        paths = [path for k in numbers if (path := raws[k].path) is not None]
        if len(paths) < len(numbers):
            continue
        if len({p.resolve() for p in paths}) < len(paths):
            raise UserError(f"{paths[0]} is given twice")
        for k, name in zip(numbers, _shortest([p.absolute() for p in paths]), strict=True):
            named[k] = replace(raws[k], name=name)
    return named


def _shortest(paths: Sequence[PurePath]) -> list[str]:
    """The ends of paths, as long as it takes for no two to be the same."""
    depth = 2
    while True:
        ends = [_without_suffix(PurePath(*p.parts[-depth:])) for p in paths]
        if len(set(ends)) == len(ends) or depth > max(len(p.parts) for p in paths):
            return ends if len(set(ends)) == len(ends) else [str(p) for p in paths]
        depth += 1


def _without_suffix(path: PurePath) -> str:
    stem = path.name.removesuffix("".join(PurePath(path.name).suffixes)) or path.name
    return path.with_name(stem).as_posix()
