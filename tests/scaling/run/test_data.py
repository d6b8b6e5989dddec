"""What a run draws from its pools is determined, or refused before anything is spent."""

from __future__ import annotations

from dataclasses import asdict, fields

import pytest

from scalinglab.scaling.data.manifest import Manifest
from scalinglab.scaling.data.mixed import pooled_manifest
from scalinglab.scaling.data.selection import SelectedManifest
from scalinglab.scaling.errors import ConfigError
from scalinglab.scaling.records.recipe import ladder_mismatch, recipe
from scalinglab.scaling.run.resolve import resolve

OPTIONS = {"vocab": 8}
POOLS = {name: {"source": "markov", "options": OPTIONS} for name in "ab"}


@pytest.fixture
def pooled_run(tiny_config, tiny_store):
    """A tiny run over two pools of 20,000 tokens each, with some keys of its data changed."""
    manifest = pooled_manifest(dict.fromkeys("ab", tiny_store.manifest))

    def run(data, **changes):
        given = {"data.source": "stdlib", "data.options": {}, "data.pools": POOLS}
        keys = {f"data.{key}": value for key, value in data.items()}
        return resolve(tiny_config(given | keys | changes), manifest)

    return run


def test_shares_over_the_run_are_science_and_leave_the_family(pooled_run):
    one = pooled_run({"weights": {"a": 0.75, "b": 0.25}})
    other = pooled_run({"weights": {"a": 0.5, "b": 0.5}})
    assert one.run_id != other.run_id and one.family_id == other.family_id
    again = pooled_run({"mixture": [{"weights": {"b": 0.25, "a": 0.75}}]})
    assert again.run_id == one.run_id
    cut = {"mixture": [{"weights": {"a": 0.75, "b": 0.25}, "fraction": 0.5}, {}]}
    assert pooled_run(cut).run_id == one.run_id  # two pieces of one share


def test_a_share_that_is_not_named_is_zero(pooled_run):
    assert pooled_run({"weights": {"b": 1}}).mixture["a"][0].start == 0


def test_other_pools_are_another_family(pooled_run):
    pools = {"a": POOLS["a"], "b": POOLS["b"] | {"unique_tokens": 800, "max_epochs": 9}}
    other = pooled_run({"pools": pools, "weights": {"a": 0.5, "b": 0.5}})
    assert other.family_id != pooled_run({"weights": {"a": 0.5, "b": 0.5}}).family_id
    assert other.unique_tokens == 20_000 + 800


@pytest.mark.parametrize("target", [5_120, 40_000])
def test_small_runs_repeat_as_often_as_the_target_run(pooled_run, tiny_run, target):
    pool = {"source": "markov", "options": OPTIONS, "unique_tokens": 1_600, "max_epochs": 1e3}
    data = {"pools": {"a": pool, "b": POOLS["b"]}, "weights": {"a": 0.5, "b": 0.5}}
    data |= {"match_repetition": target, "max_epochs": 1e3}
    run = pooled_run(data)
    epochs = run.tokens / 2 / run.science["data"]["pools"]["a"]["unique_tokens"]
    assert epochs == pytest.approx(target / 2 / 1_600, rel=0.2)  # whole windows of 16 tokens
    one = {"data.unique_tokens": 1_600, "data.max_epochs": 1e3}
    alone = tiny_run(one | {"data.match_repetition": target})
    assert alone.unique_tokens == 1_600 * 2560 // target // 16 * 16
    assert tiny_run(one | {"data.match_repetition": 2560}).run_id == tiny_run(one).run_id


def test_rungs_that_match_a_repetition_are_one_ladder(tiny_run):
    keys = {"data.unique_tokens": 3_200, "data.max_epochs": 9, "data.match_repetition": 10_240}
    runs = [tiny_run(keys | {"tokens": tokens}) for tokens in (2_560, 5_120, 10_240)]
    assert len({run.unique_tokens for run in runs}) == 3

    def recipes(some):
        return [recipe(r.science, asdict(r.config), asdict(r.shape)) for r in some]

    assert ladder_mismatch(recipes(runs)) == ""
    other = tiny_run({"data.unique_tokens": 3_200, "data.max_epochs": 9})
    assert "data.match_repetition" in ladder_mismatch(recipes([*runs, other]))


def test_lengths_of_one_mixture_are_one_ladder(pooled_run):
    mixture = [{"weights": {"a": 1}, "fraction": 0.5}, {"end": {"b": 1}}]
    runs = [pooled_run({"mixture": mixture}, tokens=tokens) for tokens in (2_560, 5_120)]
    static = pooled_run({"weights": {"a": 0.5, "b": 0.5}})
    recipes = [recipe(r.science, asdict(r.config), asdict(r.shape)) for r in (*runs, static)]
    assert ladder_mismatch(recipes[:2]) == ""
    assert ladder_mismatch(recipes) == (
        "these runs mix recipes (data.mixture): one law is fitted to all of them"
    )


@pytest.mark.parametrize(
    ("data", "message"),
    [
        ({}, r"data\.pools needs data\.weights, as \{a: 0\.5, b: 0\.5\}, or data\.mixture"),
        ({"weights": {"a": 0.5, "b": 0.4}}, r"data\.weights sum to 0\.9: the shares"),
        ({"weights": {"a": 1.5, "b": -0.5}}, r"data\.weights\.b = -0\.5: allowed is 0 or more"),
        ({"weights": {"a": 0.5, "c": 0.5}}, r"unknown key 'data\.weights\.c'"),
        ({"mixture": [{"end": {"a": 1}}]}, r"mixture\[0\]\.weights is not set: the first piece"),
        (
            {"mixture": [{"weights": {"a": 1}, "fraction": 0.5}]},
            r"data\.mixture leave 20 of the run's 40 steps",
        ),
        (
            {"mixture": [{"weights": {"a": 1}, "fraction": 0.5}, {"end": {"a": 2}}]},
            r"data\.mixture\[1\]\.end sum to 2",
        ),
        (
            {"pools": POOLS | {"b": POOLS["b"] | {"unique_tokens": 160}}, "weights": {"b": 1}},
            r"is 16\.00 epochs of the 160 tokens of pool 'b'; data\.pools\.b\.max_epochs = 1 allows",
        ),
        (
            {"pools": POOLS | {"b": POOLS["b"] | {"unique_tokens": 10**6}}, "weights": {"b": 1}},
            r"data\.pools\.b\.unique_tokens = 1000000: the source 'markov' has 20000",
        ),
        (
            {"weights": {"a": 1}, "match_repetition": 100},
            r"data\.match_repetition = 100 is the length of the largest run; tokens = 2560",
        ),
        ({"weights": {"a": 1}, "validation_tokens": 4096}, r"has 1024 validation tokens"),
    ],
)
def test_what_cannot_be_drawn_is_refused(pooled_run, data, message):
    with pytest.raises(ConfigError, match=message):
        pooled_run(data)


def test_programs_of_others_are_told_of_one_store(pooled_run):
    with pytest.raises(ConfigError, match=r"data\.pools is for trainer\.kind = 'engine'"):
        pooled_run(
            {"weights": {"a": 1}},
            **{"trainer.kind": "command", "trainer.program": "x", "execution.command": ["-"]},
        )


def test_a_selection_is_science_and_what_it_leaves_is_the_pool(tiny_config, tiny_store):
    chosen = {"select": {"keep": "top", "by": "score", "columns": {"score": "0" * 16}}}
    known = {f.name: getattr(tiny_store.manifest, f.name) for f in fields(Manifest)}
    some = SelectedManifest(**known | {"train_tokens": 6_401}, chosen=chosen)
    whole, part = (resolve(tiny_config({}), m) for m in (tiny_store.manifest, some))
    assert part.science["data"]["select"] == chosen["select"] and part.unique_tokens == 6_400
    assert whole.science["data"]["select"] is None and whole.family_id != part.family_id
    few = SelectedManifest(**known | {"train_tokens": 1_601}, chosen=chosen)
    select = {"data.select": {"keep": "top", "by": "score", "fraction": 0.1}}
    with pytest.raises(
        ConfigError, match=r"epochs of the 1600 tokens of .* that data\.select leaves"
    ):
        resolve(tiny_config(select), few)


@pytest.mark.parametrize("key", ["unique_tokens", "match_repetition"])
def test_weighted_documents_are_cut_by_a_selection(tiny_run, key):
    with pytest.raises(ConfigError, match=rf"data\.weight = 'w' and {key} = 6400: .*data\.select"):
        tiny_run({"data.weight": "w", f"data.{key}": 6400})
