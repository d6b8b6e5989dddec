"""Sources by name; a store is made on first use and never again."""

from dataclasses import dataclass

import pytest

from scalinglab.scaling.data.source import SOURCES
from scalinglab.scaling.data.sources import irreducible_loss, open_store, source_of
from scalinglab.scaling.data_config import DataConfig
from scalinglab.scaling.errors import ConfigError

TINY = {"vocab": 8, "successors": 4, "tokens": 1_000, "validation_tokens": 200}


def markov(**options):
    return DataConfig(source="markov", options=TINY | options)


@pytest.mark.parametrize(
    ("config", "message"),
    [
        (
            DataConfig(source="wikitext"),
            r"data\.source = 'wikitext' is not one of: .*jsonl, markov",
        ),
        (markov(vocabulary=9), r"unknown key 'data\.options\.vocabulary'; did you mean .*\.vocab'"),
        (markov(vocab="8"), r"data\.options\.vocab = '8': expected a whole number"),
        (markov(successors=99), r"data\.options\.successors = 99: allowed is 1 to 8"),
    ],
    ids=["source", "option", "type", "value"],
)
def test_mistakes_name_the_key_and_what_is_allowed(config, message, tmp_path):
    with pytest.raises(ConfigError, match=message):
        open_store(config, tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_a_store_is_made_once(tmp_path):
    first = open_store(markov(), tmp_path)
    written = (first.folder / "train.bin").stat().st_mtime_ns
    again = open_store(markov(), tmp_path)
    assert again.folder == first.folder
    assert (again.folder / "train.bin").stat().st_mtime_ns == written


def test_each_set_of_options_has_its_own_store(tmp_path):
    stores = [open_store(markov(seed=seed), tmp_path) for seed in range(3)]
    assert len({s.folder for s in stores}) == 3
    assert len({s.manifest.content_hash for s in stores}) == 3


def test_a_default_said_and_a_default_left_out_are_one_store(tmp_path):
    assert open_store(markov(zipf=1), tmp_path).folder == open_store(markov(), tmp_path).folder


def test_only_a_source_that_knows_its_entropy_gives_an_irreducible_loss(tmp_path):
    store = open_store(markov(), tmp_path)
    expected = source_of(markov()).window_entropy(store.validation_batch(160, 16))
    assert irreducible_loss(store, 160, 16) == expected
    text = tmp_path / "text"
    text.mkdir()
    for i in range(64):
        (text / f"{i}.txt").write_text(f"{i} and what stands beside it")
    real = DataConfig(source="text", options={"path": str(text), "validation_share": 2})
    assert irreducible_loss(open_store(real, tmp_path), 160, 16) is None


def test_an_own_option_called_max_overlap_is_the_persons(tmp_path):
    @dataclass(frozen=True)
    class Overlapped(type(source_of(markov()))):
        max_overlap: int = 1  # windows of its own

    SOURCES.register("overlapped")(Overlapped)
    try:
        stores = [
            open_store(
                DataConfig(source="overlapped", options=TINY | {"max_overlap": n}), tmp_path
            ).folder
            for n in (3, 4)
        ]
    finally:
        del SOURCES["overlapped"]
    assert stores[0] != stores[1]
