"""What a verb of the command line is, and what it answers."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

from scalinglab.options import Options

if TYPE_CHECKING:
    from scalinglab.terminal import Screen

INTERRUPTED = 130


def module_of(verb: str) -> str:
    """The module of a verb below ``scalinglab.verbs``."""
    return "import_" if verb == "import" else verb.replace("-", "_")


class Result(Protocol):
    """What a verb found: data, with one rendering as text and one as JSON.

    A result with a file beside it may have ``unwritten``, an error or None: why there is no file.
    """

    @property
    def code(self) -> int:
        """The exit status: 0, or why not."""
        ...

    def as_json(self) -> Mapping[str, Any]:
        """Plain data for programs; `scalinglab.scaling.text.plain` makes it JSON."""
        ...

    def show(self, screen: Screen) -> None:
        """Print it for people."""
        ...


@dataclass(frozen=True)
class Verb:
    """One verb of the command line; its file, ``scalinglab/verbs/<verb>.py``, exports it as VERB.

    Attributes
    ----------
    summary : str
        What it does, in a line.
    usage : str
        How it is called.
    run : callable
        (options, where progress is told) -> result. Its docstring is the help of the verb.
    options : type
        The dataclass of its keys, a subclass of `Options`.
    """

    summary: str
    usage: str
    run: Callable[[Any, Screen], Result]
    options: type[Options]
