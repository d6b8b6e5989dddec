"""What two compared recipes are called: A and B are coefficients of laws, and name no recipe."""

from __future__ import annotations

ROLES = ("baseline", "candidate")  # in place of names that are too long for a column
_LONGEST = 14  # characters of a name in the heading of a column


def column_names(arms: tuple[str, str]) -> tuple[str, str]:
    """The names of two recipes for headings of columns: their own where both are short.

    >>> column_names(("adamw", "muon")), column_names(("adamw", "muon with a long name"))
    (('adamw', 'muon'), ('baseline', 'candidate'))
    """
    return arms if max(map(len, arms)) <= _LONGEST else ROLES


def titled(arms: tuple[str, str]) -> tuple[str, str]:
    """The names of two recipes, with their roles where columns and axes call them by these.

    >>> titled(("adamw", "muon")), titled(("adamw", "muon with a long name"))
    (('adamw', 'muon'), ('adamw (baseline)', 'muon with a long name (candidate)'))
    """
    if column_names(arms) == arms:
        return arms
    a, b = (f"{arm} ({role})" for arm, role in zip(arms, ROLES, strict=True))
    return a, b
