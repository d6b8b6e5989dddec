"""How far something is, drawn as a bar on a terminal."""

from __future__ import annotations

from collections.abc import Iterator

from rich.cells import cell_len
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from scalinglab.table_lines import wrap

_BAR = 40  # columns, of a terminal of at least 80
_NARROW = 12  # of a bar beside words
_IN_TABLE = 8  # of one in a row of a table


def bar_lines(share: float, said: str, width: float) -> Iterator[Text | Table]:
    """A bar, the share and what is said of it beside it, or below it where there is no room.

    Parameters
    ----------
    share : float
        What is done, from 0 to 1.
    said : str
        Pace, losses, time left.
    width : float
        Columns of the terminal.
    """
    beside = f"{share:4.0%}  {said}".rstrip()
    room = int(width) - 2 - cell_len(beside)
    columns = min(_BAR, room if room >= _NARROW else int(width))
    bar = ProgressBar(total=1.0, completed=min(share, 1.0), width=columns)
    grid = Table.grid(padding=(0, 2, 0, 0))  # a bar alone does not end its line
    if room >= _NARROW:
        grid.add_row(bar, Text(beside))
        yield grid
    else:
        grid.add_row(bar)
        yield grid
        yield from (Text(line) for line in wrap(beside.strip(), width))


def text_bar(share: float) -> str:
    """A bar and the share that is done, as the cell of a table.

    >>> text_bar(0.45)
    '━━━╸      45%'
    """
    halves = round(2 * _IN_TABLE * min(max(share, 0.0), 1.0))
    return f"{'━' * (halves // 2) + '╸' * (halves % 2):<{_IN_TABLE}} {share:4.0%}"
