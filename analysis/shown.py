"""Answers in notebooks and papers: as HTML, as a figure, as tables in LaTeX.

An answer gives its tables and sentences (`Overview`). A figure is found by its name: figures are
drawn from answers, so answers must not import them.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from html import escape
from importlib import import_module
from typing import TYPE_CHECKING, Any

import pandas as pd

from scalinglab.analysis.tables.interval_text import with_intervals
from scalinglab.analysis.tables.latex import latex
from scalinglab.analysis.tables.powers import in_powers
from scalinglab.scaling.errors import UserError

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_ROWS = 12  # of a table in a cell of a notebook
NO_TABLES: Mapping[str, pd.DataFrame | None] = {}


@dataclass(frozen=True)
class Overview:
    """What a reader looks at first.

    Attributes
    ----------
    title : str
    tables : dict of str to DataFrame
        Caption -> rows; an interval is in columns ``x_lower`` and ``x_upper``.
    sentences, warnings : tuple of str
    """

    title: str
    tables: dict[str, pd.DataFrame]
    sentences: tuple[str, ...] = ()
    warnings: tuple[str, ...] = field(default=())

    def also(
        self,
        tables: Mapping[str, pd.DataFrame | None] = NO_TABLES,
        sentences: Iterable[str] = (),
        warnings: Iterable[str] = (),
    ) -> Overview:
        """The same with further tables, sentences and warnings, each once; None is no table."""
        more = {caption: table for caption, table in tables.items() if table is not None}
        return Overview(
            self.title,
            self.tables | more,
            tuple(dict.fromkeys([*self.sentences, *sentences])),
            tuple(dict.fromkeys([*self.warnings, *warnings])),
        )


class Shown(ABC):
    """An answer that notebooks and papers can show."""

    @property
    @abstractmethod
    def shown(self) -> Overview:
        """What a reader looks at first."""

    def __repr__(self) -> str:
        return f"<{type(self).__name__}: {self.shown.title}>"

    def _repr_html_(self) -> str:
        """As the cell of a notebook shows it."""
        page = self.shown
        parts = [f"<p><b>{escape(page.title)}</b></p>"]
        for caption, table in page.tables.items():
            parts.append(f"<p>{escape(caption)}</p>" if caption else "")
            cells = with_intervals(table.head(_ROWS)).map(lambda cell: in_powers(str(cell)))
            parts.append(cells.to_html(index=False, border=0))
            if len(table) > _ROWS:
                parts.append(f"<p>and {len(table) - _ROWS:,} more rows</p>")
        parts += [f"<p>{escape(in_powers(sentence))}</p>" for sentence in page.sentences]
        if page.warnings:
            items = "".join(f"<li>{escape(in_powers(w))}</li>" for w in page.warnings)
            parts.append(f"<ul>{items}</ul>")
        return "".join(parts)

    def to_latex(self) -> str:
        """Its tables for a paper, with the package booktabs."""
        page = self.shown
        texts = [(caption, with_intervals(table)) for caption, table in page.tables.items()]
        return "\n\n".join(
            latex(table, caption or page.title, [list(table[name]) for name in table])
            for caption, table in texts
        )

    def _draw(self, name: str, *arguments: Any, ax: Axes | None, **options: Any) -> Axes:
        """A figure of `analysis.plot` by its name."""
        draw = getattr(import_module("scalinglab.analysis.plot"), name)
        axes: Axes = draw(*arguments, ax=ax, **options)
        return axes


class KeepsTable:
    """An answer that keeps the table it was made from, for its figure.

    Only in memory: a pickle or a file of the answer is without it.
    """

    table: pd.DataFrame | None

    def __getstate__(self) -> dict[str, Any]:
        return {name: value for name, value in self.__dict__.items() if name != "table"}

    def _table(self, given: pd.DataFrame | None, parameter: str) -> pd.DataFrame:
        """The table of a figure: the given one, or the one that was kept.

        Raises
        ------
        UserError
            If there is neither, as of an answer that was read from a file.
        """
        table = self.table if given is None else given
        if table is None:
            raise UserError(
                f"{parameter} is not set, and this {type(self).__name__} was read from a file,"
                f" which keeps no table: give plot({parameter})"
            )
        return table
