"""Recipes that the runs of one table mix, in a sentence with the command that compares them."""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping
from typing import Any

import pandas as pd

from scalinglab.scaling.records.recipe import differences
from scalinglab.scaling.text.flatten import flatten
from scalinglab.scaling.text.shell import override

RECIPE_COLUMNS = ("recipe", "arm", "optimizer")  # columns that say how runs were trained
_KINDS = (".name", ".kind")  # endings of the keys that choose: the other keys of a group follow
_MOST_NAMES = 4


def recipe_of(column: str, value: Any) -> dict[str, Any]:
    """A recipe as our records give it, or the name that a table made elsewhere has for it."""
    if column == "recipe" and str(value).startswith("{"):
        try:
            return dict(json.loads(value))
        except ValueError:  # a name that begins like one of ours
            pass
    return {column: value}


def recipes_of(runs: pd.DataFrame, column: str, read: Collection[str] = ()) -> list[dict[str, Any]]:
    """The recipes of some runs, without what a law reads of each run.

    Parameters
    ----------
    runs : DataFrame
    column : str
        One of `RECIPE_COLUMNS` that the table has.
    read : collection of str
        Columns that the law reads: a setting of that name, such as ``data.unique_tokens``, is no
        other recipe.
    """
    recipes = [recipe_of(column, value) for value in runs[column].dropna().unique()]
    names = {_name(key) for key in read}
    return [{k: v for k, v in one.items() if _name(k) not in names} for one in recipes]


def _name(key: str) -> str:
    """The last part of a dotted key."""
    return key.rpartition(".")[2]


def mixed_recipes(runs: pd.DataFrame, read: Collection[str] = ()) -> dict[str, tuple[str, ...]]:
    """Column or setting -> its values, for each by which the recipes of some runs differ.

    Parameters
    ----------
    runs : DataFrame
        With ``recipe``, ``arm`` or ``optimizer`` where they are known.
    read : collection of str
        As of `recipes_of`.
    """
    mixed: dict[str, tuple[str, ...]] = {}
    for column in RECIPE_COLUMNS:
        if column in runs:
            differing = differences(recipes_of(runs, column, read))
            rows = zip(*differing.values(), strict=True)
            mixed |= _settings([dict(zip(differing, row, strict=True)) for row in rows])
    return mixed


def _settings(recipes: list[dict[str, Any]]) -> dict[str, tuple[str, ...]]:
    """The single settings in which recipes differ, and their values."""
    flat = [flatten(one) for one in recipes]
    keys = dict.fromkeys(key for one in flat for key in one)
    values = {key: tuple(sorted({str(one.get(key)) for one in flat})) for key in keys}
    return {key: each for key, each in values.items() if len(each) > 1}


def mixed_in_words(study: str, mixed: Mapping[str, tuple[str, ...]]) -> str:
    """That one law pools several recipes, and the command that compares them; empty for one.

    >>> mixed_in_words("two", {"recipe": ("adamw", "muon")})
    'These runs mix 2 recipes (recipe: adamw, muon), and one law is fitted to all of them: it \
describes none of them. Compare the recipes: scaling report study=two arm=recipe'
    """
    if not mixed:
        return ""
    key = _key(mixed)
    names = mixed[key]
    count = len(names) if len(mixed) == 1 else "several"  # of each setting some values are known
    more = ", ..." if len(names) > _MOST_NAMES else ""
    also = [other for other in mixed if other != key and other.split(".")[0] != key.split(".")[0]]
    differing = f"{key}: {', '.join(names[:_MOST_NAMES])}{more}" + "".join(f"; {k}" for k in also)
    pooled = (
        f"These runs mix {count} recipes ({differing}), and one law is fitted to all of them:"
        " it describes none of them."
    )
    if " " in key:  # no setting that a command could name
        return pooled
    chosen = " between=[BASELINE,OTHER]" if len(names) > 2 else ""
    command = f"scaling report {override('study', study)} {override('arm', key)}{chosen}"
    return f"{pooled} Compare the recipes: {command}"


def _key(mixed: Mapping[str, tuple[str, ...]]) -> str:
    """The key that tells the recipes apart: one that chooses, else the first that is a setting."""
    settings = [key for key in mixed if " " not in key] or [*mixed]
    return next((key for key in settings if key.endswith(_KINDS)), settings[0])
