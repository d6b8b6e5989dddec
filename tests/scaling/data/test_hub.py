"""Streaming from a hub: only what a commit holds, and on from where the network was lost."""

import json

import pytest

from scalinglab.scaling.data import build, documents, hf
from scalinglab.scaling.data.sources import open_store, planned_store
from scalinglab.scaling.data_config import DataConfig
from scalinglab.scaling.errors import ConfigError, UserError
from tests.scaling.data.corpora import documents as make_documents
from tests.scaling.data.corpora import store_of, write_jsonl
from tests.scaling.data.hub import NAME, Repository, served

datasets = pytest.importorskip("datasets")
TEXTS = make_documents(300)


def lines(texts):
    return "".join(json.dumps({"text": text}) + "\n" for text in texts).encode()


@pytest.fixture
def repository(tmp_path, monkeypatch):
    """A repository with two files, and the libraries that look for it."""
    import huggingface_hub
    from huggingface_hub import HfFileSystem, constants

    repository = Repository()
    with served(repository) as address:
        for module in (datasets.config, constants):
            for name in ("HF_ENDPOINT", "ENDPOINT"):
                if hasattr(module, name):
                    monkeypatch.setattr(module, name, address)
        template = address + "/{repo_id}/resolve/{revision}/{filename}"
        monkeypatch.setattr(constants, "HUGGINGFACE_CO_URL_TEMPLATE", template)
        monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "hub"))
        monkeypatch.setattr(huggingface_hub.hf_api.api, "endpoint", address)
        monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path / "cache")
        monkeypatch.setattr(datasets.config, "STREAMING_READ_MAX_RETRIES", 1)
        monkeypatch.setattr(datasets.config, "STREAMING_READ_RETRY_INTERVAL", 0)
        HfFileSystem.clear_instance_cache()
        yield repository
        HfFileSystem.clear_instance_cache()


def data_at(commit, **options):
    return DataConfig(source="hf", options={"path": NAME, "revision": commit} | options)


def commit_of(repository, texts):
    half = len(texts) // 2
    files = {"data/train-0.jsonl": lines(texts[:half]), "data/train-1.jsonl": lines(texts[half:])}
    return repository.commit({"README.md": b"# a set\n", **files})


@pytest.mark.long
def test_a_commit_gives_its_own_rows_whatever_came_after(repository, tmp_path):
    first = commit_of(repository, TEXTS[:200])
    planned = open_store(data_at(first), tmp_path)
    second = commit_of(repository, TEXTS)
    again = open_store(data_at(first), tmp_path / "elsewhere")
    of_file = store_of("jsonl", tmp_path, path=str(write_jsonl(tmp_path / "a.jsonl", TEXTS[:200])))
    hashes = {store.manifest.content_hash for store in (planned, again, of_file)}
    assert len(hashes) == 1
    asked = [path for _, path in repository.asked if "/resolve/" in path]
    assert all(f"/resolve/{first}/" in path for path in asked)
    with pytest.raises(UserError, match="was planned on data .*: the source has changed"):
        planned_store(data_at(second), planned.manifest.content_hash, "k3v9", tmp_path / "new")


def test_a_commit_that_there_is_not_is_one_sentence(repository, tmp_path):
    commit_of(repository, TEXTS)
    with pytest.raises(UserError, match=f"'{NAME}', split 'train', cannot be read: Revision '0+'"):
        open_store(data_at("0" * 40), tmp_path)


def test_a_lost_network_costs_nothing(repository, tmp_path, monkeypatch):
    commit = commit_of(repository, TEXTS)
    wanted = open_store(data_at(commit), tmp_path / "whole")
    monkeypatch.setattr(hf, "_ROWS", 10)
    monkeypatch.setattr(build, "NOTE_SECONDS", 0.0)
    encoded = []
    repository.lost = "data/train-1.jsonl"
    with pytest.raises(UserError, match="cannot be read.*the same command goes on") as refused:
        open_store(data_at(commit), tmp_path, processes=1)
    assert not isinstance(refused.value, ConfigError)
    assert len(list((tmp_path / "data").glob(".hf-*.building"))) == 1
    repository.lost = ""
    encode = build._encoded
    monkeypatch.setattr(build, "_encoded", lambda *a: encoded.append(a[1].content[1]) or encode(*a))
    store = open_store(data_at(commit), tmp_path, processes=1)
    assert min(encoded) == 150  # rows of the first file are not turned into tokens again
    assert store.manifest.content_hash == wanted.manifest.content_hash


def test_chunks_are_those_of_a_file(repository, tmp_path, monkeypatch):
    monkeypatch.setattr(documents, "CHUNK", 1_000)
    commit = commit_of(repository, TEXTS)
    two = open_store(data_at(commit), tmp_path / "2", processes=2)
    one = open_store(data_at(commit), tmp_path / "1", processes=1)
    assert two.manifest.content_hash == one.manifest.content_hash
