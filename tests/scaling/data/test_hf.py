"""Datasets of Hugging Face: folders here; of the Hub only at a commit."""

import pytest

from scalinglab.scaling.data import build
from scalinglab.scaling.errors import ConfigError, UserError
from tests.scaling.data.corpora import documents, store_of, texts_of, write_jsonl

datasets = pytest.importorskip("datasets")
TEXTS = documents(300)


@pytest.fixture(autouse=True)
def _own_cache(tmp_path, monkeypatch):
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path / "cache")


def saved(folder, **splits):
    whole = {
        name: datasets.Dataset.from_dict(
            {"text": texts, "score": [i % 2 for i in range(len(texts))]}
        )
        for name, texts in splits.items()
    }
    datasets.DatasetDict(whole).save_to_disk(folder)
    return folder


@pytest.mark.parametrize("processes", [1, 2])
def test_a_saved_dataset_gives_the_store_of_its_rows(processes, tmp_path, monkeypatch):
    monkeypatch.setattr(build, "SMALL", 0)
    folder = saved(tmp_path / "saved", train=TEXTS)
    lines = write_jsonl(tmp_path / "a.jsonl", [t for i, t in enumerate(TEXTS) if i % 2])
    wanted = store_of("jsonl", tmp_path / "1", path=str(lines))
    store = store_of("hf", tmp_path / "2", processes, path=str(folder), where="score == 1")
    assert store.manifest.content_hash == wanted.manifest.content_hash


def test_a_split_of_its_own_is_the_validation_part(tmp_path):
    folder = saved(tmp_path / "saved", train=TEXTS[:250], test=TEXTS[250:])
    store = store_of("hf", tmp_path, path=str(folder), validation_split="test")
    assert texts_of(store) == TEXTS[:250] and texts_of(store, "validation") == TEXTS[250:]


def test_a_folder_of_data_files_is_streamed(tmp_path):
    write_jsonl(tmp_path / "files" / "a.jsonl", TEXTS)
    store = store_of("hf", tmp_path, path=str(tmp_path / "files"))
    assert sorted(texts_of(store) + texts_of(store, "validation")) == sorted(TEXTS)


MISTAKES = {
    "no path": ({}, "data.options.path is not set: a folder of a dataset, or its name"),
    "no commit": ({"path": "org/set"}, "data.options.revision is not set: 'org/set' is no folder"),
    "branch": (
        {"path": "org/set", "revision": "main"},
        "'main': .*give the commit, 40 hexadecimal",
    ),
    "a commit of a folder": ({"revision": "a" * 40}, "saved' is a folder here, which has no comm"),
    "split": (
        {"split": "tain"},
        "data.options.path = .*saved', split 'tain', cannot be read: there are the splits train",
    ),
    "one split": ({"validation_split": "train"}, "'train' is data.options.split"),
    "column": ({"text": "content"}, "has no column 'content'; there are: text, score"),
}


@pytest.mark.parametrize("name", MISTAKES)
def test_mistakes_are_one_sentence(name, tmp_path):
    options, message = MISTAKES[name]
    folder = saved(tmp_path / "saved", train=TEXTS[:50])
    if options and "path" not in options:
        options = {"path": str(folder)} | options
    with pytest.raises(ConfigError, match=message):
        store_of("hf", tmp_path, **options)


def test_a_dataset_that_changed_makes_another_store(tmp_path):
    first = store_of("hf", tmp_path, path=str(saved(tmp_path / "saved", train=TEXTS[:200])))
    second = store_of("hf", tmp_path, path=str(saved(tmp_path / "saved", train=TEXTS)))
    assert first.folder != second.folder


def test_the_hub_is_asked_for_the_commit(tmp_path, monkeypatch):
    asked = {}

    def load(path, name, **named):
        asked.update(path=path, name=name, **named)
        raise ConnectionError("no\nnet")

    monkeypatch.setattr(datasets, "load_dataset", load)
    options = {"path": "org/set", "revision": "a" * 40, "name": "en"}
    with pytest.raises(UserError, match="'org/set', split 'train', cannot be read: no net"):
        store_of("hf", tmp_path, **options)
    assert asked == options | {"split": "train", "streaming": True}
