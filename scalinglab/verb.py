"""What a verb of the command line is, and how it speaks."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from scalinglab.terminal import Screen

INTERRUPTED = 130


class Interrupted(KeyboardInterrupt):
    """An interrupt of which the person has been told already."""


@dataclass(frozen=True)
class Verb:
    """One verb: what it does in a line, how it is called, and the function that does it.

    `options` is the dataclass of its keys; None for verbs that take Hydra's overrides.
    """

    summary: str
    usage: str
    run: Callable[[Sequence[str]], int]
    options: type | None = None


def open_console() -> Screen:
    """Where a verb prints all that it shows, but for ``--json``."""
    from scalinglab.terminal import Screen

    return Screen()


def say(console: Screen, text: str, style: str = "") -> None:
    """A text of one line or several: broken at words on a terminal, whole in a file."""
    console.say(text, style)
