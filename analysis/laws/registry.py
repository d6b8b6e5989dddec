"""Laws by name."""

from __future__ import annotations

import sys

from scalinglab.analysis.laws.law import Law
from scalinglab.scaling.registry import Registry

LAWS: Registry[Law] = Registry("law", __package__)


def register(law: Law) -> Law:
    """Make a law known to `analysis.fit` by its name; returns it.

    Raises
    ------
    UserError
        If another law has its name.
    """
    caller = str(sys._getframe(1).f_globals.get("__name__", ""))
    return LAWS.register(law.name, caller)(law)


def find(law: str | Law) -> Law:
    """The law of a name, or the law itself.

    Raises
    ------
    UserError
        If no law has that name; the sentence offers the nearest one.
    """
    return law if isinstance(law, Law) else LAWS.find(law)
