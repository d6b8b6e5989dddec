"""The nearest existing name for one that does not exist."""

from __future__ import annotations

import difflib
from collections.abc import Iterable

_SHOWN = 30


def nearest(name: str, allowed: Iterable[object], have: str = "there are") -> str:
    """The end of a sentence that refuses a name: the nearest allowed name, or all of them.

    Parameters
    ----------
    name : str
    allowed : iterable
    have : str
        The words before the list of all names.

    Examples
    --------
    >>> nearest("optimizer.nam", ["optimizer.name", "seed"])
    "; did you mean 'optimizer.name'?"
    >>> nearest("x", ["seed"], "it has")
    '; it has seed'
    """
    names = sorted({str(choice) for choice in allowed})
    # A person may have typed, or mistyped, only the end of a dotted name.
    ends = {dotted.rpartition(".")[2]: dotted for dotted in reversed(names)}
    near = difflib.get_close_matches(name, names, n=1, cutoff=0.7)
    near = near or [ends[end] for end in difflib.get_close_matches(name, ends, n=1, cutoff=0.7)]
    if near:
        return f"; did you mean {near[0]!r}?"
    more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
    return f"; {have} {', '.join(names[:_SHOWN]) or 'none'}{more}"
