"""A verb of the command line, and the result that it shows."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

from scalinglab.options import Options

if TYPE_CHECKING:
    from scalinglab.terminal import Screen

INTERRUPTED = 130  # exit status after Ctrl-C, as a shell has it


def module_of(verb: str) -> str:
    """The module of a verb below ``scalinglab.verbs``."""
    return "import_" if verb == "import" else verb.replace("-", "_")


class Result(Protocol):
    """The result of a verb: data, with one rendering as text and one as JSON.

    The result of a verb that also writes a file may have ``unwritten``: the error because of which
    there is no file, or None.
    """

    @property
    def code(self) -> int:
        """The exit status; 0 is success."""
        ...

    def as_json(self) -> Mapping[str, Any]:
        """Data for programs; `scalinglab.scaling.text.plain` makes it JSON."""
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
        (options, the screen for progress) -> result. Its docstring is the help of the verb.
    options : type
        The dataclass of its keys, a subclass of `Options`.
    shows_bar : bool
        Whether it may take long and shows nothing meanwhile: then a bar does.
    """

    summary: str
    usage: str
    run: Callable[[Any, Screen], Result]
    options: type[Options]
    shows_bar: bool = False
