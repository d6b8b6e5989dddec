"""The one place that prints for people: sentences and tables, complete at any width.

A text of a user or a program is never markup and never drives the terminal
(`scalinglab.scaling.text.printable`). Lines break between words only, so that a number, an id or a
path is never cut. No escape code is written to a file, to a terminal that knows none (TERM=dumb),
or where NO_COLOR is set.
"""

from __future__ import annotations

import math
import os
import sys
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, TextIO

from rich.console import Console
from rich.text import Text

from scalinglab.scaling.text.printable import printable
from scalinglab.table_lines import table_lines, wrap

if TYPE_CHECKING:
    import pandas as pd

_UNKNOWN_WIDTH = 80  # columns of a terminal that does not report its width


class Screen:
    """Standard output or another stream: a terminal with a width, or a file without one.

    Attributes
    ----------
    is_standard : bool
        Whether it is standard output, which a notebook shows in its cell.
    is_terminal : bool
    is_live : bool
        Whether it is a terminal that may be coloured and redrawn.
    console : Console
        The console of rich, for live displays.
    is_verbose : bool
        Whether tables keep all columns, on lines longer than the terminal is wide.
    """

    def __init__(self, stream: TextIO | None = None) -> None:
        self._stream = sys.stdout if stream is None else stream
        self.is_standard = self._stream is sys.stdout
        self.is_verbose = False
        self.is_terminal = self._stream.isatty()
        self.is_live = (
            self.is_terminal
            and not os.environ.get("NO_COLOR")
            and os.environ.get("TERM", "") not in ("", "dumb", "unknown")
        )
        self.console = _Console(
            file=self._stream,
            force_terminal=self.is_live,
            force_jupyter=False,  # a cell shows plain text, as a file does
            markup=False,
            highlight=False,
            emoji=False,
            color_system="auto" if self.is_live else None,
        )

    @property
    def width(self) -> float:
        """Columns; a terminal may change them at any time. Infinite in a file, whatever COLUMNS
        says: what reads it needs each column, and each sentence in one line.
        """
        if not self.is_terminal:
            return math.inf
        if os.environ.get("COLUMNS", "").isdecimal() and int(os.environ["COLUMNS"]):
            return int(os.environ["COLUMNS"])
        try:
            return os.get_terminal_size(self._stream.fileno()).columns or _UNKNOWN_WIDTH
        except OSError:
            return _UNKNOWN_WIDTH

    def say(self, text: str, style: str = "") -> None:
        """Print a text; on a terminal its lines are broken between words."""
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
        width = math.inf if self.is_verbose else self.width
        self._print(table_lines(frame, width, optional=optional, text=text))

    def write(self, text: str) -> None:
        """Print a piece of a log as it comes; its last line may be incomplete."""
        self._stream.write(printable(text.replace("\r\n", "\n").replace("\r", "\n")))
        self._stream.flush()

    def _print(self, lines: Iterable[Text]) -> None:
        for line in lines:
            self.console.print(line, soft_wrap=True)  # rich neither breaks nor crops it


class _Console(Console):
    def on_broken_pipe(self) -> None:
        """Pass the error on to the command line, which ends quietly (`scaling | head`)."""
        raise  # noqa: PLE0704 - rich calls this while it handles the error
