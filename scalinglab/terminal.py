"""The one place that prints for people: sentences and tables, whole at any width.

What users and programs write is never markup and never drives the terminal
(`scalinglab.scaling.text.printable`). Lines break between words only, so that a number, an id or a
path is never cut. No escape code is written to a file, to a terminal without any (TERM=dumb), or
where NO_COLOR is set.
"""

from __future__ import annotations

import math
import os
import re
import sys
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, TextIO

from rich.cells import cell_len
from rich.console import Console
from rich.text import Text

from scalinglab.scaling.records.state import State
from scalinglab.scaling.text.printable import one_line, printable

if TYPE_CHECKING:
    import pandas as pd

STATE_STYLES: dict[str, str] = {
    State.DONE: "green",
    State.DIVERGED: "magenta",
    State.STOPPED: "magenta",
    State.RUNNING: "cyan",
    State.FAILED: "red",
    State.INTERRUPTED: "yellow",
    State.BLOCKED: "dim",
    State.PLANNED: "",
}
_UNKNOWN_WIDTH = 80  # columns of a terminal that does not say
_GAP = "  "  # between columns of a table
_NUMBER = re.compile(r"[+-]?[\d,.]*(\d|nan|inf)(e[+-]?\d+)?[%x]?|")


class Screen:
    """Standard output, or another stream: a terminal of some width, or a file of any.

    Attributes
    ----------
    is_standard : bool
        Whether it is standard output, which a notebook shows in its cell.
    is_terminal : bool
    is_live : bool
        Whether it is a terminal that may be coloured and drawn again.
    console : Console
        For what rich draws live.
    """

    def __init__(self, stream: TextIO | None = None) -> None:
        self._stream = sys.stdout if stream is None else stream
        self.is_standard = self._stream is sys.stdout
        self.is_terminal = self._stream.isatty()
        self.is_live = (
            self.is_terminal
            and not os.environ.get("NO_COLOR")
            and os.environ.get("TERM", "") not in ("", "dumb", "unknown")
        )
        self.console = _Console(
            file=self._stream,
            force_terminal=self.is_live,
            force_jupyter=False,  # a cell shows what is written, as a file does
            markup=False,
            highlight=False,
            emoji=False,
            color_system="auto" if self.is_live else None,
        )
        self._fleeting = 0  # columns of a line that is to be overwritten

    @property
    def width(self) -> float:
        """Columns; infinite in a file. A terminal may change it at any time."""
        if not self.is_terminal:
            return math.inf
        if os.environ.get("COLUMNS", "").isdecimal() and int(os.environ["COLUMNS"]):
            return int(os.environ["COLUMNS"])
        try:
            return os.get_terminal_size(self._stream.fileno()).columns or _UNKNOWN_WIDTH
        except OSError:
            return _UNKNOWN_WIDTH

    def say(self, text: str, style: str = "") -> None:
        """Print a text: broken at words on a terminal, its lines whole in a file."""
        for line in printable(text).split("\n"):
            self._print(Text(part, style) for part in wrap(line, self.width))

    def table(
        self,
        frame: pd.DataFrame,
        *,
        optional: Sequence[str] = (),
        text: str | None = None,
        title: str = "",
    ) -> None:
        """Print a table; see `table_lines`."""
        if title:
            self.say(title, "italic")
        self._print(table_lines(frame, self.width, optional=optional, text=text))

    def write(self, text: str) -> None:
        """Print a piece of a log as it comes, whose last line may not have ended."""
        self._stream.write(printable(text.replace("\r\n", "\n").replace("\r", "\n")))
        self._stream.flush()

    def fleeting(self, line: str) -> None:
        """Print a line of progress that the next one overwrites; one below the other in a file."""
        if not self.is_live or cell_len(line) >= self.width:
            self.say(line)
            return
        self._stream.write(line.ljust(self._fleeting) + "\r")
        self._stream.flush()
        self._fleeting = len(line)

    def _print(self, lines: Iterable[Text]) -> None:
        if self._fleeting:
            self._stream.write(" " * self._fleeting + "\r")
            self._fleeting = 0
        for line in lines:
            self.console.print(line, soft_wrap=True)  # rich neither breaks nor crops it


class _Console(Console):
    def on_broken_pipe(self) -> None:
        """Let the command line end as `scaling | head` is to end."""
        raise  # noqa: PLE0704 - rich calls this while it handles the error


def wrap(line: str, width: float, hanging: str | None = None) -> list[str]:
    """Break one line between words.

    Parameters
    ----------
    line : str
    width : float
        Columns; a word that is longer stands whole on a line of its own.
    hanging : str, optional
        What later lines begin with; two spaces more than the first if not given.
    """
    if cell_len(line) <= width:
        return [line]
    if hanging is None:
        hanging = line[: len(line) - len(line.lstrip())] + "  "
    lines, now = [], ""
    for gap, word in re.findall(r"(\s*)(\S+)", line):
        if not now.strip():
            now = gap + word
        elif cell_len(now + gap + word) <= width:
            now += gap + word
        else:
            lines.append(now)
            now = hanging + word if cell_len(hanging + word) <= width else word
    return [*lines, now]


def table_lines(
    frame: pd.DataFrame, width: float, *, optional: Sequence[str] = (), text: str | None = None
) -> list[Text]:
    """A data frame as lines that fit a width, no cell of them shortened.

    What does not fit gives way in this order: the texts of the column `text` stand below their
    rows; `optional` columns are left out, which a last line says; each row becomes a block of lines
    "column  value".

    Parameters
    ----------
    frame : DataFrame
        What is shown; numbers stand to the right, as they are written in it.
    width : float
        Columns of the terminal.
    optional : sequence of str
        Columns that may be left out, the first named first.
    text : str, optional
        The last column, if it holds sentences.
    """
    cells = {one_line(str(name)): [one_line(str(value)) for value in frame[name]] for name in frame}
    fixed, left_out = _fitting({n: c for n, c in cells.items() if n != text}, width, optional)
    if _width(fixed) > width:
        return _blocks(cells, width)
    lines = _rows(fixed)
    if text is not None:
        lines = _with_texts(lines, [text, *cells[text]], _width(fixed), width)
    for line in lines:
        line.rstrip()
    if left_out:
        note = f"left out at this width: {', '.join(left_out)}"
        lines += [Text(part, "dim") for part in wrap(note, width)]
    return lines


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


def _width(cells: dict[str, list[str]]) -> int:
    return sum(_column_width(*item) + len(_GAP) for item in cells.items()) - len(_GAP)


def _column_width(name: str, column: list[str]) -> int:
    return max(map(cell_len, (name, *column)))


def _rows(cells: dict[str, list[str]]) -> list[Text]:
    """The heading and a line a row."""
    rows = max((len(column) for column in cells.values()), default=0)
    lines = [Text() for _ in range(rows + 1)]
    for name, column in cells.items():
        width = _column_width(name, column)
        right = all(map(_NUMBER.fullmatch, column))
        for line, cell in zip(lines, (name, *column), strict=True):
            style = "bold" if line is lines[0] else STATE_STYLES.get(cell, "")
            pad = " " * (width - cell_len(cell))
            line.append(_GAP if line.plain else "")
            line.append(pad if right else "").append(cell, style).append("" if right else pad)
    return lines


def _with_texts(lines: list[Text], texts: list[str], start: int, width: float) -> list[Text]:
    """Each text beside its row where it fits, else below it."""
    whole = []
    for line, text in zip(lines, texts, strict=True):
        whole.append(line)
        if start + len(_GAP) + cell_len(text) <= width:
            line.append(_GAP + text, "bold" if line is lines[0] else "")
        elif text and line is not lines[0]:
            whole += [Text(part) for part in wrap(f"    {text}", width, "    ")]
    return whole


def _blocks(cells: dict[str, list[str]], width: float) -> list[Text]:
    """A block of lines for each row: the name of a column and what stands in it."""
    names = max(map(cell_len, cells))
    lines: list[Text] = []
    for row in zip(*cells.values(), strict=True):
        lines += [Text()] if lines else []
        for name, cell in zip(cells, row, strict=True):
            head = name + " " * (names - cell_len(name)) + _GAP
            lines += [Text(part) for part in wrap(head + cell, width, " " * len(head)) if cell]
    return lines
