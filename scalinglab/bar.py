"""A progress bar on a terminal."""

from __future__ import annotations

from collections.abc import Iterator

from rich.cells import cell_len
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from scalinglab.table_lines import wrap

_WIDEST = 40  # columns of a bar
_NARROWEST = 12  # columns of a bar beside a text
_IN_TABLE = 8  # columns of a bar in a row of a table


def bar_lines(share: float, text: str, width: float) -> Iterator[Text | Table]:
    """A bar with the share and a text beside it, or below it on a narrow terminal.

    Parameters
    ----------
    share : float
        The finished part, from 0 to 1.
    text : str
        Pace, losses, time left.
    width : float
        Columns of the terminal.
    """
    label = f"{share:4.0%}  {text}".rstrip()
    room = int(width) - 2 - cell_len(label)
    columns = min(_WIDEST, room if room >= _NARROWEST else int(width))
    bar = ProgressBar(total=1.0, completed=min(share, 1.0), width=columns)
    grid = Table.grid(padding=(0, 2, 0, 0))  # a bar outside a grid does not end its line
    if room >= _NARROWEST:
        grid.add_row(bar, Text(label))
        yield grid
    else:
        grid.add_row(bar)
        yield grid
        yield from (Text(line) for line in wrap(label.strip(), width))


def text_bar(share: float) -> str:
    """A bar and the share that is done, as the cell of a table.

    >>> text_bar(0.45)
    '━━━╸      45%'
    """
    halves = round(2 * _IN_TABLE * min(max(share, 0.0), 1.0))
    return f"{'━' * (halves // 2) + '╸' * (halves % 2):<{_IN_TABLE}} {share:4.0%}"
