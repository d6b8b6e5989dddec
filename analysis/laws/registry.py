"""Laws by name."""

from __future__ import annotations

import difflib

from scalinglab.analysis.laws.law import Law
from scalinglab.scaling.errors import UserError

LAWS: dict[str, Law] = {}


def register(law: Law) -> Law:
    """Make a law known to `analysis.fit` by its name; returns it.

    Raises
    ------
    UserError
        If the law contradicts itself, or another law has its name.
    """
    names = law.names
    if len(set(names)) < len(names):
        raise UserError(f"law {law.name!r} names a parameter twice: {', '.join(names)}")
    clash = sorted(set(names) & set(law.columns))
    if clash:
        raise UserError(f"law {law.name!r} uses {clash[0]!r} both as a column and as a parameter")
    unknown = sorted(set(law.linear) - set(names))
    if unknown:
        raise UserError(
            f"law {law.name!r} calls {unknown[0]!r} linear; its parameters are {', '.join(names)}"
        )
    if LAWS.get(law.name, law) is not law:
        raise UserError(f"a law called {law.name!r} exists already; choose another name")
    LAWS[law.name] = law
    return law


def find(law: str | Law) -> Law:
    """The law of a name, or the law itself.

    Raises
    ------
    UserError
        If no law has that name; the sentence offers the nearest one.
    """
    if isinstance(law, Law):
        return law
    if law in LAWS:
        return LAWS[law]
    near = difflib.get_close_matches(str(law), LAWS, n=1, cutoff=0.5)
    hint = f"; did you mean {near[0]!r}?" if near else ""
    raise UserError(f"no law is called {law!r}{hint} (there are: {', '.join(sorted(LAWS))})")
