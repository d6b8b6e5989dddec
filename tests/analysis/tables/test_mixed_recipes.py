"""Recipes that one law would pool, and the command that compares them."""

from __future__ import annotations

import json

import pandas as pd
import pytest

from scalinglab.analysis.tables.mixed_recipes import mixed_in_words, mixed_recipes


def said(column: str, *values: object) -> str:
    return mixed_in_words("mine", mixed_recipes(pd.DataFrame({column: [*values]})))


@pytest.mark.parametrize(
    ("column", "values", "command"),
    [
        ("recipe", ("old", "new"), "arm=recipe"),
        ("optimizer", ("sgd", "muon", "adamw"), "arm=optimizer between=[BASELINE,OTHER]"),
        (
            "recipe",
            [json.dumps({"optimizer": {"beta2": b, "name": n}}) for b, n in ((1, "x"), (2, "y"))],
            "arm=optimizer.name",
        ),
    ],
)
def test_the_command_compares_what_differs(column, values, command) -> None:
    assert said(column, *values).endswith(f"scaling report study=mine {command}")


def test_one_recipe_is_not_mixed_and_a_rule_is_no_setting() -> None:
    assert said("recipe", "old", "old", None) == "" == said("corpus", "a", "b")
    rules = [json.dumps({"the rule or value of the LR": rate}) for rate in (0.1, 0.2)]
    assert "the rule or value of the LR: 0.1, 0.2" in said("recipe", *rules)
    assert "scaling report" not in said("recipe", *rules)
