"""Searches go on from what is finished, find the best of a bowl, and keep to equal budgets."""

from __future__ import annotations

import itertools
import math

import pytest

from scalinglab.compose import compose
from scalinglab.scaling.errors import ConfigError
from scalinglab.scaling.optimizers.optimizer import OPTIMIZERS
from scalinglab.scaling.read_options import from_dict
from scalinglab.sweeps.config import LaunchConfig
from scalinglab.sweeps.launch.launch import launch
from scalinglab.sweeps.plan.make import make_plan
from scalinglab.sweeps.plan.save import save_plan
from scalinglab.sweeps.study.generators.tune import Tune, settings
from scalinglab.sweeps.study.study import check_overrides

SPACE = {"lr": [0.01 * 2**k for k in range(7)], "decay": [0.0, 0.1, 0.3]}


def bowl(setting: dict) -> float:
    """Lowest at lr = 0.02 and decay = 0.3."""
    return 2 + math.log(setting["lr"] / 0.02) ** 2 + (setting["decay"] - 0.3) ** 2


def searched(loss, **options) -> list[dict]:
    return settings(from_dict(Tune, options, "options"), SPACE, 1024, loss, "options")


def launches(**options) -> list[list[dict]]:
    """What each launch adds, until nothing is."""
    known: dict[str, float] = {}
    rounds = []
    while True:
        wanted = searched(lambda s: known.get(repr(s)), **options)
        new = [s for s in wanted if repr(s) not in known]
        if not new:
            return rounds
        known |= {repr(s): bowl(s) for s in new}
        rounds.append(new)


def test_coordinate_descent_finds_the_lowest_of_a_bowl() -> None:
    rounds = launches(method="coordinate", budget=30)
    tried = [s for new in rounds for s in new]
    assert min(tried, key=bowl) == {"lr": 0.02, "decay": 0.3}
    assert len(tried) == len({repr(s) for s in tried}) < 21  # fewer than the grid


def test_it_begins_in_the_middle_and_learns_before_it_goes_on() -> None:
    first, second, *_ = launches(method="coordinate", budget=30)
    assert first[0] == {"lr": 0.08, "decay": 0.1} and len(first) == 7
    assert {s["decay"] for s in first} == {0.1} and {s["lr"] for s in second} == {0.02}


@pytest.mark.parametrize("budget", [1, 4, 9, 30])
def test_a_budget_is_never_exceeded(budget) -> None:
    assert sum(map(len, launches(method="coordinate", budget=budget))) <= budget


def test_a_setting_that_diverged_is_not_chosen() -> None:
    wanted = searched(lambda s: math.inf if s["lr"] > 0.1 else bowl(s), budget=30)
    assert {"lr": 0.02, "decay": 0.3} in wanted


def test_halving_keeps_the_better_half_on_twice_the_tokens() -> None:
    rounds = launches(method="halving", budget=7)
    assert [len(new) for new in rounds] == [21, 11, 6, 3, 2, 1]
    assert [new[0]["tokens"] for new in rounds] == [32, 64, 128, 256, 512, 1024]
    for before, after in itertools.pairwise(rounds):
        kept = [{k: v for k, v in s.items() if k != "tokens"} for s in after]
        best = sorted(before, key=bowl)[: len(after)]
        assert kept == [{k: v for k, v in s.items() if k != "tokens"} for s in best]
    assert bowl(rounds[-1][0]) == min(bowl(s) for s in rounds[0])


def test_a_grid_is_the_whole_product_at_once() -> None:
    assert [len(new) for new in launches(method="grid", budget=21)] == [21]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"method": "bayes"}, r"options\.method = 'bayes' is not one of: grid, coord"),
        ({"method": "grid", "budget": 20}, r"the grid has 21 settings and the budget is 20"),
        ({"method": "halving", "budget": 2}, r"costs more tokens than the budget of 2 whole runs"),
        ({"budget": 0}, r"options\.budget = 0: allowed is 1 or more"),
    ],
)
def test_what_does_not_fit_is_named(options, message) -> None:
    with pytest.raises(ConfigError, match=message):
        searched(bowl, **options)


def test_optimizers_have_spaces_of_their_own() -> None:
    for name in (name for name, kind in OPTIMIZERS.items() if kind.search_space):
        assert len(Tune().search_space(name, "o")["optimizer.lr"]) >= 5
    with pytest.raises(ConfigError, match=r"no default for optimizer\.name = 'soap'"):
        Tune().search_space("soap", "o")
    with pytest.raises(ConfigError, match=r"o\.space\.x = \[1\]: allowed are two values"):
        Tune(space={"x": [1]}).search_space("adamw", "o")


# ---------------------------------------------------------------------- as a study

STUDY = """
# @package _global_
defaults:
  - /optimizer@study.blocks.lion.base.optimizer: lion
  - _self_
  - override /data: markov
study:
  name: search
  question: Which?
  blocks:
    lion:
      role: sweep
      generator: tune
      options: {budget: 4, space: {optimizer: {lr: [0.001, 0.01, 0.1], weight_decay: [0.0, 0.1]}}}
model: {depth: 1, width: 8, head_dim: 8, context: 16}
data:
  options: {vocab: 8, successors: 4, tokens: 20001, validation_tokens: 1025}
  validation_tokens: 512
tokens: 2560
schedule: {warmup_tokens: 256}
batch: 4
"""


def test_a_study_goes_on_with_what_its_runs_found(tmp_path, monkeypatch) -> None:
    (tmp_path / "conf" / "study").mkdir(parents=True)
    (tmp_path / "conf" / "study" / "search.yaml").write_text(STUDY)
    monkeypatch.chdir(tmp_path)
    sizes = []
    for _ in range(3):
        plan = make_plan(compose(["study=search"]))
        assert {p.run.science["optimizer"]["name"] for p in plan.runs} == {"lion"}
        sizes.append(len(plan.runs))
        save_plan(plan)
        assert launch(plan.outputs, "search", LaunchConfig("inline"))
    assert sizes == [3, 4, 4]
    assert all(p.new_steps == 0 for p in make_plan(compose(["study=search"])).runs)


def test_the_shipped_study_gives_every_optimizer_the_same_budget(tmp_path) -> None:
    plan = make_plan(compose(["study=tune", f"outputs={tmp_path}", "data=markov"]))
    firsts = {
        block: [p for p in plan.runs if block in p.blocks]
        for block in ("adamw", "muon", "lion", "sgd")
    }
    assert {len(runs) for runs in firsts.values()} == {6}
    for block, runs in firsts.items():
        assert {p.run.science["optimizer"]["name"] for p in runs} == {block}


def test_what_a_search_does_not_set_may_be_overridden() -> None:
    composed = compose(["study=tune"])
    check_overrides(composed, ["tokens=1024", "model.width=16"])
    with pytest.raises(ConfigError, match="generator sets optimizer.lr; say.*adamw.options"):
        check_overrides(composed, ["optimizer.lr=0.01"])
