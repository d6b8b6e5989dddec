"""Tables and sentences as lines of a width, in which no cell is cut.

Columns that have no room are left out, and a line below the table names them.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import TYPE_CHECKING

from rich.cells import cell_len
from rich.text import Text

from scalinglab.scaling.records.state import State
from scalinglab.scaling.text.printable import one_line

if TYPE_CHECKING:
    import pandas as pd

    from scalinglab.terminal import Screen

STATE_STYLES: dict[str, str] = {
    State.DONE: "green",
    State.DIVERGED: "magenta",
    State.STOPPED: "magenta",
    State.RUNNING: "cyan",
    State.FAILED: "red",
    State.INTERRUPTED: "yellow",
    State.WAITING: "dim",
    State.PLANNED: "",
}
_FEW = 3  # rows, up to which one that does not fit is read downwards, not in parts
_GAP = "  "  # between columns of a table
_INTERVAL = re.compile(r"(\S+) (\([^()]+ to [^()]+\))")  # a value and its interval in one cell
_NUMBER = re.compile(r"[+-]?[\d,.]*(\d|nan|inf)(e[+-]?\d+|(·10)?[⁻⁰¹²³⁴⁵⁶⁷⁸⁹]+)?[%x]?|")


def wrap(line: str, width: float, hanging: str | None = None) -> list[str]:
    """Break one line between words, but not between a name, its "=" or "<" and its value.

    Parameters
    ----------
    line : str
    width : float
        Columns; a word that is longer stands whole on a line of its own.
    hanging : str, optional
        The indent of later lines; default: two spaces more than the first line has.
    """
    if cell_len(line) <= width:
        return [line]
    if hanging is None:
        hanging = line[: len(line) - len(line.lstrip())] + "  "
    lines, current = [], ""
    for gap, word in _unbroken(line, width - cell_len(hanging)):
        if not current.strip():
            current = gap + word
        elif cell_len(current + gap + word) <= width:
            current += gap + word
        else:
            lines.append(current)
            current = hanging + word if cell_len(hanging + word) <= width else word
    return [*lines, current]


def _unbroken(line: str, room: float) -> list[tuple[str, str]]:
    """The pieces of a line between which it may break, each with the space before it."""
    pieces: list[tuple[str, str]] = []
    for gap, piece in re.findall(r"(\s*)(\S+(?: (?:=|[<>]=?) \S+)*)", line):
        fits = cell_len(piece) <= room - (0 if pieces else cell_len(gap))
        words = [(gap, piece)] if fits else re.findall(r"(\s*)(\S+)", gap + piece)
        pieces += words
    return pieces


def table_lines(
    frame: pd.DataFrame,
    width: float,
    *,
    optional: Sequence[str] = (),
    text: str | None = None,
    notes: bool = True,
) -> list[Text]:
    """A data frame as lines that fit a width, with every cell whole.

    A table that is too wide is narrowed in this order:

    1. the texts of the column `text` stand below their rows;
    2. intervals stand below their values;
    3. columns with one value in all rows are named in a line below the table;
    4. `optional` columns are left out, and named in a line below the table;
    5. each row of a few becomes lines "column  value";
    6. the columns of more rows stand in several tables one below another, each with the first
       column;
    7. where a cell is too wide even for that, each row becomes lines as well.

    Parameters
    ----------
    frame : DataFrame
        The cells as they are written; columns of numbers are aligned to the right.
    width : float
        Columns of the terminal.
    optional : sequence of str
        Columns that may be left out, in this order.
    text : str, optional
        The last column, if it holds sentences.
    notes : bool
        Whether lines below the table name the columns that are not shown.
    """
    cells = {one_line(str(name)): [one_line(str(value)) for value in frame[name]] for name in frame}
    fitted = _fitted({n: c for n, c in cells.items() if n != text}, width, optional)
    tables = _side_by_side(fitted.cells, width)
    rows = max(map(len, cells.values()), default=0)
    if not tables or (len(tables) > 1 and rows <= _FEW):
        return _blocks(cells, width)
    lines = [line for table in tables[:-1] for line in (*chain(*_rows(table)), Text())]
    last = _rows(tables[-1])
    if text is None:
        lines += chain(*last)
    else:
        lines += _with_texts(last, [text, *cells[text]], _width(tables[-1]), width)
    for line in lines:
        line.rstrip()
    told = fitted.notes if notes else ()
    return lines + [Text(part, "dim") for note in told for part in wrap(note, width)]


@dataclass(frozen=True)
class _Fitted:
    """The columns of a table that are shown, and the names of the others."""

    cells: dict[str, list[str]]
    alike: tuple[str, ...] = ()
    left_out: tuple[str, ...] = ()

    @property
    def notes(self) -> list[str]:
        return [
            *([f"the same in all rows: {', '.join(self.alike)}"] if self.alike else []),
            *(
                [f"no room for columns (-v shows them): {', '.join(self.left_out)}"]
                if self.left_out
                else []
            ),
        ]


def _fitted(cells: dict[str, list[str]], width: float, optional: Sequence[str]) -> _Fitted:
    if _width(cells) <= width:
        return _Fitted(cells)
    cells = _stacked(cells)
    if _width(cells) <= width:
        return _Fitted(cells)
    constant = {
        name: column[0] for name, column in cells.items() if len(column) > 1 == len(set(column))
    }
    differ = {name: column for name, column in cells.items() if name not in constant}
    if not differ:
        constant, differ = {}, cells
    shown, left_out = _fitting(differ, width, optional)
    one_line_each = {name: value.replace("\n", " ") for name, value in constant.items()}
    alike = (f"{name} {value}" if value else f"no {name}" for name, value in one_line_each.items())
    return _Fitted(shown, tuple(alike), tuple(left_out))


def _stacked(cells: dict[str, list[str]]) -> dict[str, list[str]]:
    """The cells with each interval on a line below its value."""
    return {
        name: [
            f"{found[1]}\n{found[2]}" if (found := _INTERVAL.fullmatch(cell)) else cell
            for cell in column
        ]
        for name, column in cells.items()
    }


def _fitting(
    cells: dict[str, list[str]], width: float, optional: Sequence[str]
) -> tuple[dict[str, list[str]], list[str]]:
    """The columns that fit a width, and the names of those that were left out for that."""
    without: list[str] = []

    def kept() -> dict[str, list[str]]:
        return {name: column for name, column in cells.items() if name not in without}

    for name in optional:
        if name in cells and _width(kept()) > width:
            without.append(name)
    for name in without[::-1]:  # a narrow one may fit where a wide one did not
        without.remove(name)
        if _width(kept()) > width:
            without.append(name)
    return kept(), [name for name in cells if name in without]


def _side_by_side(cells: dict[str, list[str]], width: float) -> list[dict[str, list[str]]]:
    """Tables that fit, each with the first column; none where a column does not fit beside it."""
    if not cells:
        return [{}]
    first, *names = cells
    tables = [{first: cells[first]}]
    for name in names:
        if _width(tables[-1] | {name: cells[name]}) > width:
            tables.append({first: cells[first]})
        tables[-1][name] = cells[name]
    return tables if all(_width(table) <= width for table in tables) else []


def _width(cells: dict[str, list[str]]) -> int:
    return sum(_column_width(*item) + len(_GAP) for item in cells.items()) - len(_GAP)


def _column_width(name: str, column: list[str]) -> int:
    return max(cell_len(line) for cell in (name, *column) for line in cell.split("\n"))


def _rows(cells: dict[str, list[str]]) -> list[list[Text]]:
    """The heading and each row, of as many lines as its cells have."""
    heights = [
        max(cell.count("\n") + 1 for cell in row) for row in zip(*cells.values(), strict=True)
    ]
    rows = [[Text() for _ in range(height)] for height in (1, *heights)]
    for name, column in cells.items():
        width = _column_width(name, column)
        right = all(map(_NUMBER.fullmatch, column))
        for row, cell in zip(rows, (name, *column), strict=True):
            style = "bold" if row is rows[0] else STATE_STYLES.get(cell, "")
            parts = cell.split("\n")
            for line, part in zip(row, parts + [""] * (len(row) - len(parts)), strict=True):
                pad = " " * (width - cell_len(part))
                line.append(_GAP if name is not next(iter(cells)) else "")
                line.append(pad if right else "").append(part, style).append("" if right else pad)
    return rows


def _with_texts(rows: list[list[Text]], texts: list[str], start: int, width: float) -> list[Text]:
    """Each text beside its row if it fits there, or below it."""
    with_texts = []
    for row, text in zip(rows, texts, strict=True):
        with_texts += row
        if start + len(_GAP) + cell_len(text) <= width:
            row[0].append(_GAP + text, "bold" if row is rows[0] else "")
        elif text and row is not rows[0]:
            with_texts += [Text(part) for part in wrap(f"    {text}", width, "    ")]
    return with_texts


def _blocks(cells: dict[str, list[str]], width: float) -> list[Text]:
    """A block of lines for each row: the name of a column and its cell."""
    names = max(map(cell_len, cells))
    lines: list[Text] = []
    for row in zip(*cells.values(), strict=True):
        lines += [Text()] if lines else []
        for name, cell in zip(cells, row, strict=True):
            head = name + " " * (names - cell_len(name)) + _GAP
            lines += [Text(part) for part in wrap(head + cell, width, " " * len(head)) if cell]
    return lines


class GrowingTable:
    """A table whose rows are printed one after another, below one heading.

    Parameters
    ----------
    screen : Screen
    expected : DataFrame
        All rows that may come, each cell as wide as it can get.
    optional : sequence of str
        Columns that may be left out, in this order.
    """

    def __init__(
        self, screen: Screen, expected: pd.DataFrame, *, optional: Sequence[str] = ()
    ) -> None:
        cells = {str(name): [one_line(str(value)) for value in expected[name]] for name in expected}
        shown, _ = _fitting(cells, screen.width, optional)
        self._screen = screen
        self._width = {name: _column_width(name, column) for name, column in shown.items()}
        self._right = {n for n, column in shown.items() if all(map(_NUMBER.fullmatch, column))}
        self._is_begun = False

    def add(self, row: Mapping[str, object], text: str = "") -> None:
        """Print one row, and a text beside or below it."""
        if not self._is_begun:
            self._screen.say(self._line({name: name for name in self._width}), "bold")
            self._is_begun = True
        self._screen.say(f"{self._line(row)}  {text}".rstrip())

    def _line(self, row: Mapping[str, object]) -> str:
        return _GAP.join(
            one_line(str(row[name])).rjust(width)
            if name in self._right
            else one_line(str(row[name])).ljust(width)
            for name, width in self._width.items()
        ).rstrip()
