"""A progress bar while an answer is computed: in the cell of a notebook, else on a terminal.

It stands on standard error, so that an answer can be piped, appears once the answer has taken a
second, and is gone when the answer is there. Where standard error is redirected, ``-v`` asks for a
line now and then in its place.
"""

from __future__ import annotations

import functools
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import ParamSpec, TypeVar

from scalinglab.analysis.progress import is_listened_to, listening
from scalinglab.scaling.text.duration import duration

P = ParamSpec("P")
Answer = TypeVar("Answer")

_PATIENCE = 1.0  # seconds without a bar
_LINE_SECONDS = 30.0  # between two lines in a log
_CELL_SECONDS = 0.5  # between two pictures in a cell, each a message to the browser


class _Bar:
    """What is shown: the share, the part that is worked on and the time since the start."""

    def __init__(self) -> None:
        self.began = time.monotonic()
        self.share, self.part = 0.0, ""

    def listen(self, share: float, part: str) -> None:
        self.share, self.part = max(self.share, share), part

    @property
    def text(self) -> str:
        """ "analysis variants 12 of 54   20 s"."""
        return f"{self.part}   {duration(time.monotonic() - self.began)}".strip()


@contextmanager
def answer_bar() -> Iterator[None]:
    """Show how far the answer is that is computed inside; nothing where nobody looks."""
    if is_listened_to():  # one answer asks for another
        yield
        return
    # Imported here, because IPython is asked, and answers of scripts need no display.
    from scalinglab.cell_bar import cell_bar

    bar = _Bar()
    if (cell := cell_bar()) is not None:
        show = _in_cell(bar, cell.update)
        with listening(show):
            yield
        cell.clear()
    elif sys.stderr.isatty():
        with listening(bar.listen), _on_terminal(bar):
            yield
    else:
        yield


@contextmanager
def answer_lines() -> Iterator[None]:
    """Say on standard error, which is no terminal, that a long answer begins, goes on and ends."""
    # Imported here, because it imports rich, and most answers write no lines.
    from scalinglab.terminal import Screen

    bar, screen = _Bar(), Screen(sys.stderr)
    next_time = bar.began + _LINE_SECONDS

    def listen(share: float, part: str) -> None:
        nonlocal next_time
        bar.listen(share, part)
        if time.monotonic() >= next_time:
            screen.say(f"{bar.share:.0%} {bar.text}")
            next_time = time.monotonic() + _LINE_SECONDS

    screen.say("0% begun")
    with listening(listen):
        yield
    spent = duration(time.monotonic() - bar.began)
    screen.say(f"100% done after {spent}")


def with_bar(answer: Callable[P, Answer]) -> Callable[P, Answer]:
    """A function that shows a bar while it takes long."""

    @functools.wraps(answer)
    def call(*arguments: P.args, **options: P.kwargs) -> Answer:
        with answer_bar():
            return answer(*arguments, **options)

    return call


def _in_cell(bar: _Bar, update: Callable[[float, str], None]) -> Callable[[float, str], None]:
    """A listener that draws the bar of a cell, not too often."""
    next_time = bar.began + _PATIENCE

    def listen(share: float, part: str) -> None:
        nonlocal next_time
        bar.listen(share, part)
        if time.monotonic() >= next_time:
            update(bar.share, bar.text)
            next_time = time.monotonic() + _CELL_SECONDS

    return listen


@contextmanager
def _on_terminal(bar: _Bar) -> Iterator[None]:
    """The bar on the terminal of standard error, which may not be one that can be redrawn."""
    # Imported here, because rich takes a while, and most answers are not watched.
    from rich.console import Group
    from rich.live import Live

    from scalinglab.bar import bar_lines
    from scalinglab.terminal import Screen

    screen = Screen(sys.stderr)
    if not screen.is_live:
        yield
        return
    live = Live(
        console=screen.console,
        refresh_per_second=4,
        transient=True,
        redirect_stdout=False,
        redirect_stderr=False,
        get_renderable=lambda: Group(*bar_lines(bar.share, bar.text, screen.width)),
    )
    timer = threading.Timer(_PATIENCE, live.start)
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        timer.cancel()
        timer.join()
        live.stop()
