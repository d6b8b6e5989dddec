"""Laws by name."""

from __future__ import annotations

import sys

from scalinglab.analysis.default_laws import MIXED_SURFACES
from scalinglab.analysis.laws.law import Law
from scalinglab.scaling.errors import UserError
from scalinglab.scaling.registry import Registry, instance_of

AUTO = "auto"  # no law: the mixture of those that the table allows

LAWS: Registry[Law] = Registry("law", __package__)
LAWS.wants(instance_of(Law))


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
        If no law has that name; the sentence offers the nearest one. If it is the mixture, where
        one law is needed.
    """
    if law == AUTO:
        raise UserError("law = 'auto' is an average of laws; here one law is needed: name it")
    return law if isinstance(law, Law) else LAWS.find(law)


def read_as(law: str | Law) -> Law:
    """The law that says which columns a table must have: of the mixture, the first of its laws.

    Raises
    ------
    UserError
        As `find`, but for the mixture.
    """
    return find(MIXED_SURFACES[0] if law == AUTO else law)
