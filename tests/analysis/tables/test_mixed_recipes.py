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


def test_a_setting_that_the_law_reads_is_no_other_recipe() -> None:
    recipes = [json.dumps({"data.unique_tokens": tokens, "batch": 8}) for tokens in (1280, 2560)]
    runs = pd.DataFrame({"recipe": recipes})
    assert "mix 2 recipes (data.unique_tokens: 1280, 2560)" in mixed_in_words(
        "s", mixed_recipes(runs)
    )
    assert mixed_recipes(runs, read=["N", "unique_tokens"]) == {}
    assert mixed_recipes(runs, read=["data.unique_tokens"]) == {}


def test_a_default_warm_up_is_no_difference_and_two_settings_are_several_recipes() -> None:
    schedules = [{"warmup_tokens": tokens} for tokens in (10, 20)]
    ladder = [json.dumps({"a default warm-up": True, "schedule": one}) for one in schedules]
    assert said("recipe", *ladder) == ""
    pairs = [json.dumps({"batch": b, "ema": e}) for b in (1, 2) for e in (3, 4)]
    assert "mix several recipes (batch: 1, 2; ema)" in said("recipe", *pairs)


def test_a_name_that_begins_like_a_recipe_of_ours_is_a_name() -> None:
    assert "mix 2 recipes (recipe: {fast}, {slow})" in said("recipe", "{fast}", "{slow}")
