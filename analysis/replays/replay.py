"""A published answer, and ours from the same table."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from scalinglab.scaling.errors import UserError

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from scalinglab.analysis.fitting.result import Result

TABLES = Path(__file__).parent / "tables"
RECORDED = Path(__file__).parent / "recorded.json"  # written by `python -m benchmarks.replays`
COLUMNS = ("quantity", "published", "ours", "lower", "upper")
_DIGITS = 5


@dataclass(frozen=True)
class Findings:
    """What we find in a published table.

    Attributes
    ----------
    table : DataFrame
        One row per quantity: ``quantity``, ``published``, ``ours``, ``lower`` and ``upper`` (NaN
        where there is no interval).
    draw : callable
        ``draw(ax)`` shows it; ax may be None.
    fits : tuple of Result
        The laws that were fitted: their warnings belong to the answer.
    """

    table: pd.DataFrame
    draw: Callable[[Axes | None], Axes]
    fits: tuple[Result, ...] = field(default=(), repr=False)

    @property
    def warnings(self) -> tuple[str, ...]:
        """Those of the fits, each once."""
        return tuple(dict.fromkeys(text for fit in self.fits for text in fit.warnings))


@dataclass(frozen=True)
class Recorded:
    """What we found in a table that may not be passed on, when we had it.

    Attributes
    ----------
    table : DataFrame
        As that of `Findings`.
    warnings : tuple of str
        Those of the fits.
    date : str
        When it was found, as in 2026-11-30.
    """

    table: pd.DataFrame
    warnings: tuple[str, ...]
    date: str


@dataclass(frozen=True)
class Replay:
    """A published table, and the question that its authors asked of it.

    Attributes
    ----------
    name, title, paper, source, licence : str
        `source` says where the table is published.
    file : str
        The table, in the package or in a folder that a person fetched.
    about : str
        What is asked, how we answer, and what to make of a difference.
    columns : tuple of str
        Those of the table that the answer reads.
    answer : callable
        The table -> what we find.
    """

    name: str
    title: str
    paper: str
    source: str
    licence: str
    file: str
    about: str
    columns: tuple[str, ...]
    answer: Callable[[pd.DataFrame], Findings] = field(repr=False)

    @property
    def shipped(self) -> bool:
        """Whether the table stands in the package, as its licence allows."""
        return (TABLES / self.file).exists()

    def read(self, folder: str | Path | None = None) -> pd.DataFrame:
        """The table.

        Parameters
        ----------
        folder : path, optional
            Where the file lies; default: in the package.

        Raises
        ------
        UserError
            If it is not there, or lacks a column.
        """
        if folder is None and not self.shipped:
            raise UserError(
                f"replay {self.name}: its table may not be passed on ({self.licence}); fetch"
                f" {self.file} from {self.source}, and name its folder: data=FOLDER"
            )
        path = (TABLES if folder is None else Path(folder)) / self.file
        if not path.is_file():
            raise UserError(f"replay {self.name}: there is no file {path}; it is of {self.source}")
        try:
            table = pd.read_csv(path)
        except (ValueError, UnicodeDecodeError) as error:
            raise UserError(
                f"replay {self.name}: {path} is no table of comma-separated values"
            ) from error
        for name in self.columns:
            if name not in table:
                raise UserError(
                    f"replay {self.name}: {self.file} has no column {name!r}; it has"
                    f" {', '.join(map(str, table.columns))}"
                )
        return table

    def recorded(self) -> Recorded | None:
        """What was found in a table that is to be fetched; None of one in the package."""
        found = json.loads(RECORDED.read_text()).get(self.name)
        if found is None:
            return None
        table = pd.DataFrame(found["answers"], columns=list(COLUMNS)).astype(
            dict.fromkeys(COLUMNS[1:], float)
        )
        return Recorded(table, tuple(found["warnings"]), found["date"])

    def run(self, folder: str | Path | None = None) -> Findings:
        """Our answer, from the table; as `read`.

        Raises
        ------
        UserError
            If the table is not there, or lacks columns of the published one.
        """
        return self.answer(self.read(folder))


def compared(rows: Sequence[tuple[str, float, float, tuple[float, float] | None]]) -> pd.DataFrame:
    """The table of `Findings`, from (quantity, published, ours, interval)."""
    return pd.DataFrame(
        [
            (quantity, published, reproduced, *(interval or (np.nan, np.nan)))
            for quantity, published, reproduced, interval in rows
        ],
        columns=list(COLUMNS),
    )


def parameters(law: Result, published: dict[str, float]) -> list[tuple]:
    """Rows of parameters beside published values."""
    return [
        (name, value, law.params[name], law.interval(name) if len(law.draws) else None)
        for name, value in published.items()
    ]


def texts(table: pd.DataFrame) -> pd.DataFrame:
    """The table of an answer for people: numbers in five digits, intervals in one column."""

    def shown(value: float) -> str:
        return "" if np.isnan(value) else f"{value:.{_DIGITS}g}"

    ends = [
        f"{shown(lower)} to {shown(upper)}" if np.isfinite(lower) else ""
        for lower, upper in zip(table["lower"], table["upper"], strict=True)
    ]
    columns = {name: [shown(v) for v in table[name]] for name in ("published", "ours")}
    return pd.DataFrame({"quantity": table["quantity"]} | columns | {"95% interval": ends})
