"""How far a long answer is, told to whoever shows it.

Whoever computes says which part it is at: `each` for the items of a loop, `steps` for parts that
follow one another, `tell` for the share of a part that asks for it. Parts may lie in parts: a law
that is compared is a fit, which has parts of its own. Without a listener all of this does nothing.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import TypeVar

Item = TypeVar("Item")
Listener = Callable[[float, str], object]  # (share from 0 to 1, what is being done)

_SHOWN = 2  # parts in parts that the text names


@dataclass
class _Part:
    name: str
    first: float  # where it begins within the part that it lies in, from 0 to 1
    width: float
    inside: bool  # whether `tell` says how far it is


@dataclass
class _Told:
    """The parts that are being worked on, the outermost first."""

    listener: Listener
    parts: list[_Part] = field(default_factory=list)
    thread: int = field(default_factory=threading.get_ident)

    def tell(self, share: float) -> None:
        first, width = 0.0, 1.0
        for part in self.parts:
            first, width = first + width * part.first, width * part.width
        names = [part.name for part in self.parts if part.name]
        self.listener(first + width * min(share, 1.0), ": ".join(names[:_SHOWN]))


_TOLD: ContextVar[_Told | None] = ContextVar("progress", default=None)


@contextmanager
def listening(listener: Listener) -> Iterator[None]:
    """Tell a listener how far the work is that is done inside."""
    token = _TOLD.set(_Told(listener))
    try:
        yield
    finally:
        _TOLD.reset(token)


def is_listened_to() -> bool:
    """Whether somebody is told already."""
    return _TOLD.get() is not None


def tell(share: float) -> None:
    """Say how much of the current part is done, from 0 to 1, if it was begun with `inside`."""
    told = _listened()
    if told is not None and told.parts and told.parts[-1].inside:
        told.tell(share)


@contextmanager
def steps(count: int, *, inside: bool = False) -> Iterator[Callable[[str], None]]:
    """Parts that follow one another: call what is given with the name of each when it begins.

    Parameters
    ----------
    count : int
        How many parts there are; each counts alike.
    inside : bool
        Whether each part is one piece of work that `tell` follows, not several.
    """
    told, begun = _listened(), 0
    depth = 0 if told is None else len(told.parts)

    def begin(name: str) -> None:
        nonlocal begun
        if told is None:
            return
        told.parts[depth:] = [_Part(name, min(begun / count, 1.0), 1 / count, inside)]
        told.tell(0.0)
        begun += 1

    try:
        yield begin
    finally:
        if told is not None:
            del told.parts[depth:]


def each(items: Sequence[Item], name: str) -> Iterator[Item]:
    """The items of a loop, each a part: "variants 12 of 54"."""
    with steps(len(items)) as begin:
        for number, item in enumerate(items, 1):
            begin(f"{name} {number} of {len(items)}")
            yield item


def _listened() -> _Told | None:
    """Who is told; parts that run in threads beside one another have no order to tell."""
    told = _TOLD.get()
    return told if told is not None and told.thread == threading.get_ident() else None
