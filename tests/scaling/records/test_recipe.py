"""One recipe is one whatever its rung; another is named by what differs."""

from __future__ import annotations

from dataclasses import asdict

import pytest

from scalinglab.scaling.records.identity import HISTORIC
from scalinglab.scaling.records.recipe import not_one_ladder, recipe


@pytest.fixture
def of(tiny_run):
    """The recipe of a tiny run with some keys replaced."""

    def make(changes=None):
        run = tiny_run(changes)
        return recipe(run.science, asdict(run.config), asdict(run.shape))

    return make


def test_size_tokens_and_seed_are_no_part_of_it(of) -> None:
    rungs = [{}, {"tokens": 5120}, {"seed": 3}, {"model.depth": 3}]
    assert not_one_ladder(of(changes) for changes in rungs) == ""
    assert not_one_ladder([]) == ""


@pytest.mark.parametrize(
    ("changes", "name"),
    [
        ({"optimizer.name": "lion"}, "optimizer"),
        ({"batch": 8}, "batch"),
        ({"schedule.kind": "cosine"}, "schedule"),
        ({"model.norm": "none"}, "model.norm"),
    ],
)
def test_another_recipe_is_named_by_what_differs(of, changes, name) -> None:
    said = not_one_ladder([of(), of(changes)])
    assert said == f"the fitted runs are not one ladder; they differ in {name}"


def test_an_old_record_has_the_recipe_of_a_new_one(tiny_run) -> None:
    """Keys that joined later are left out at the value that older runs had."""
    run = tiny_run()
    config, shape = asdict(run.config), asdict(run.shape)
    old = {key: value for key, value in run.science.items() if key not in HISTORIC}
    assert not_one_ladder([recipe(run.science, config, shape), recipe(old, config, shape)]) == ""
