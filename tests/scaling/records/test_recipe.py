"""One recipe is one whatever its rung; another is named by what differs."""

from __future__ import annotations

from dataclasses import asdict

import pytest

from scalinglab.scaling.records.identity import historic_of
from scalinglab.scaling.records.recipe import ladder_mismatch, recipe


@pytest.fixture
def of(tiny_run):
    """The recipe of a tiny run with some keys replaced."""

    def make(changes=None):
        run = tiny_run(changes)
        return recipe(run.science, asdict(run.config), asdict(run.shape))

    return make


def test_size_tokens_and_seed_are_no_part_of_it(of) -> None:
    rungs = [{}, {"tokens": 5120}, {"seed": 3}, {"model.depth": 3}]
    assert ladder_mismatch(of(changes) for changes in rungs) == ""
    assert ladder_mismatch([]) == ""


def test_a_default_warm_up_is_one_rule_for_runs_of_all_lengths(of) -> None:
    """Of a run shorter than 65,536 tokens it is a tenth of the steps, rounded."""
    default = [{"schedule.warmup_tokens": None, "tokens": t} for t in (5120, 7680, 15360)]
    assert ladder_mismatch(of(changes) for changes in default) == ""
    given = {"schedule.warmup_tokens": 1024}
    assert "(schedule)" in ladder_mismatch([of(default[0]), of(given)])


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
    said = ladder_mismatch([of(), of(changes)])
    assert said == f"these runs mix recipes ({name}): one law is fitted to all of them"


def test_an_old_record_has_the_recipe_of_a_new_one(tiny_run) -> None:
    """Keys that joined later are left out at the value that older runs had."""
    run = tiny_run()
    config, shape = asdict(run.config), asdict(run.shape)
    old = {key: value for key, value in run.science.items() if key not in historic_of(run.science)}
    assert ladder_mismatch([recipe(run.science, config, shape), recipe(old, config, shape)]) == ""
