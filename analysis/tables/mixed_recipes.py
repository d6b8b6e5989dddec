"""Recipes that the runs of one table mix, in a sentence with the command that compares them."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import pandas as pd

from scalinglab.scaling.records.recipe import ladder_mismatch
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


def mixed_recipes(runs: pd.DataFrame) -> dict[str, tuple[str, ...]]:
    """Column or setting -> its values, for each by which the recipes of some runs differ.

    Parameters
    ----------
    runs : DataFrame
        With ``recipe``, ``arm`` or ``optimizer`` where they are known.
    """
    mixed: dict[str, tuple[str, ...]] = {}
    for column in RECIPE_COLUMNS:
        if column not in runs:
            continue
        recipes = [recipe_of(column, value) for value in runs[column].dropna().unique()]
        if ladder_mismatch(recipes):
            mixed |= _differing([flatten(one) for one in recipes])
    return mixed


def _differing(recipes: list[dict[str, Any]]) -> dict[str, tuple[str, ...]]:
    keys = dict.fromkeys(key for one in recipes for key in one)
    values = {key: tuple(sorted({str(one.get(key)) for one in recipes})) for key in keys}
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
    more = ", ..." if len(names) > _MOST_NAMES else ""
    also = [other for other in mixed if other != key and other.split(".")[0] != key.split(".")[0]]
    differing = f"{key}: {', '.join(names[:_MOST_NAMES])}{more}" + "".join(f"; {k}" for k in also)
    pooled = (
        f"These runs mix {len(names)} recipes ({differing}), and one law is fitted to all of them:"
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
