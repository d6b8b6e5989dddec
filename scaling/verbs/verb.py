"""What a verb of the command line is, and how it speaks."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.console import Console

INTERRUPTED = 130


@dataclass(frozen=True)
class Verb:
    """One verb: what it does in a line, how it is called, and the function that does it.

    `options` is the dataclass of its keys; None for verbs that take Hydra's overrides.
    """

    summary: str
    usage: str
    run: Callable[[Sequence[str]], int]
    options: type | None = None


def open_console() -> Console:
    """Where tables are drawn; they must not be cut where the output goes to a file."""
    from rich.console import Console

    return Console() if sys.stdout.isatty() else Console(width=200)


def say(console: Console, text: str, style: str = "") -> None:
    """A sentence: broken at words on a terminal, whole in a file."""
    console.print(text, style=style, highlight=False, soft_wrap=not console.is_terminal)
