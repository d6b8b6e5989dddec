"""A store of documents: the same however it is built, resumed where it was killed, said what it is."""

import json
import os
import signal
import subprocess
import sys

import numpy as np
import pytest

from scalinglab.scaling.data import build, encode, jsonl
from scalinglab.scaling.data.sources import open_store
from scalinglab.scaling.data_config import DataConfig
from scalinglab.scaling.errors import ConfigError
from tests.scaling.data.corpora import bpe, documents, store_of, texts_of, write_jsonl

TEXTS = documents(600)


@pytest.fixture
def corpus(tmp_path):
    write_jsonl(tmp_path / "c" / "a.jsonl", TEXTS[:300])
    write_jsonl(tmp_path / "c" / "b.jsonl", TEXTS[300:])
    return tmp_path / "c"


@pytest.fixture
def small_chunks(monkeypatch):
    monkeypatch.setattr(jsonl, "CHUNK", 3_000)
    monkeypatch.setattr(build, "SMALL", 0)


@pytest.mark.parametrize("tokenizer", [None, bpe()], ids=["bytes", "bpe"])
def test_one_and_two_processes_give_one_store(tokenizer, corpus, tmp_path, small_chunks):
    stores = [store_of("jsonl", tmp_path / str(n), n, tokenizer, path=str(corpus)) for n in (1, 2)]
    one, two = (
        {p.name: p.read_bytes() for p in s.folder.iterdir() if not p.name.startswith("verified")}
        for s in stores
    )
    assert one == two
    assert set(one) == {
        *("train.bin", "train_ends.bin", "validation.bin", "validation_ends.bin", "manifest.json"),
        *("token_bytes.bin", "token_counts.bin"),
    }


def test_the_order_in_which_a_folder_lists_its_files_is_no_matter(corpus, tmp_path):
    one = store_of("jsonl", tmp_path / "1", path=str(corpus))
    for name in ("b", "a"):  # written anew in another order, elsewhere, at another time
        write_jsonl(tmp_path / "d" / f"{name}.jsonl", TEXTS[300:] if name == "b" else TEXTS[:300])
    two = store_of("jsonl", tmp_path / "2", path=str(tmp_path / "d"))
    assert one.manifest.content_hash == two.manifest.content_hash


def test_documents_are_kept_with_their_ends(corpus, tmp_path):
    store = store_of("jsonl", tmp_path, path=str(corpus))
    assert sorted(texts_of(store) + texts_of(store, "validation")) == sorted(TEXTS)
    held_out = set(texts_of(store, "validation"))
    assert texts_of(store) == [text for text in TEXTS if text not in held_out]  # in their order
    assert store.manifest.excluded == (255,) and store.train[-1] == 255
    sizes = {
        part: sum(len(t.encode()) for t in texts_of(store, part))
        for part in ("train", "validation")
    }
    facts = store.manifest.facts
    assert sizes == {part: facts[f"{part}_bytes"] for part in sizes}
    assert store.manifest.bytes_per_token == sizes["validation"] / len(store.validation)


def test_the_same_documents_are_held_out_for_each_tokenizer(corpus, tmp_path):
    plain = store_of("jsonl", tmp_path, path=str(corpus))
    merged = store_of("jsonl", tmp_path, tokenizer=bpe(), path=str(corpus))
    assert merged.manifest.documents == plain.manifest.documents
    for name in ("train_bytes", "validation_bytes", "validation_in_train"):
        assert merged.manifest.facts[name] == plain.manifest.facts[name]
    assert merged.manifest.bytes_per_token > 1.3 and merged.manifest.vocab == 300


class Killed(BaseException):
    """As by a signal: nothing is tidied up."""


@pytest.mark.parametrize("after", [1, 7, 12])
def test_a_build_that_was_killed_goes_on(after, corpus, tmp_path, small_chunks, monkeypatch):
    whole = store_of("jsonl", tmp_path / "whole", path=str(corpus))
    monkeypatch.setattr(build, "NOTE_SECONDS", -1.0)
    done = []

    def encode_some(source, encoder, chunk):
        done.append(chunk)
        if len(done) == after:
            raise Killed
        return encode.encode_chunk(source, encoder, chunk)

    monkeypatch.setattr(build, "encode_chunk", encode_some)
    with pytest.raises(Killed):
        store_of("jsonl", tmp_path / "part", path=str(corpus))
    (left,) = (tmp_path / "part" / "data").iterdir()
    with (left / "train.bin").open("ab") as file:
        file.write(b"torn")  # what was not noted yet
    again = store_of("jsonl", tmp_path / "part", path=str(corpus))
    assert again.manifest == whole.manifest
    chunks = len(list(jsonl.JsonLines(path=str(corpus)).chunks()))
    assert len(done) == chunks + 1  # nothing was encoded twice but what was under way
    assert [p.name for p in (tmp_path / "part" / "data").iterdir()] == [again.folder.name]


PROGRAM = """
import sys
from pathlib import Path
from scalinglab.scaling.data_config import DataConfig
from scalinglab.scaling.data import build, jsonl
from scalinglab.scaling.data.sources import open_store
jsonl.CHUNK, build.SMALL, build.NOTE_SECONDS = 3_000, 0, -1.0
add = build._Written.add
def slowly(self, encoded):
    add(self, encoded)
    self.note()
    print(self.chunks, flush=True)
    __import__("time").sleep(0.02)
build._Written.add = slowly
open_store(DataConfig(source="jsonl", options={"path": sys.argv[1]}), Path(sys.argv[2]), 2)
"""


def test_kill_9_in_the_middle(corpus, tmp_path, small_chunks):
    command = [sys.executable, "-c", PROGRAM, str(corpus), str(tmp_path / "out")]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        for line in process.stdout:
            if int(line) >= 5:
                os.kill(process.pid, signal.SIGKILL)
                break
    (left,) = (tmp_path / "out" / "data").glob("*.building")
    assert json.loads((left / "progress.json").read_text())["chunks"] >= 5
    again = store_of("jsonl", tmp_path / "out", path=str(corpus))
    assert again.manifest == store_of("jsonl", tmp_path / "whole", path=str(corpus)).manifest


def test_files_that_change_meanwhile_make_no_store(corpus, tmp_path, monkeypatch):
    def changing(source, encoder, chunk):
        os.utime(corpus / "b.jsonl", ns=(1, 1))
        return encode.encode_chunk(source, encoder, chunk)

    monkeypatch.setattr(build, "encode_chunk", changing)
    with pytest.raises(ConfigError, match="its files were changed while they were read; give"):
        store_of("jsonl", tmp_path, path=str(corpus))
    assert not list((tmp_path / "data").iterdir())


def test_another_process_that_builds_is_waited_for(corpus, tmp_path, small_chunks):
    command = [sys.executable, "-c", PROGRAM, str(corpus), str(tmp_path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        process.stdout.readline()
        store = store_of("jsonl", tmp_path, path=str(corpus))
        process.communicate()
    assert process.returncode == 0 and store.manifest.documents
    assert [p.name for p in (tmp_path / "data").iterdir()] == [store.folder.name]


def test_long_documents_are_cut_where_lines_end(monkeypatch):
    text = "".join(f"line {i} of a document\n" for i in range(1_000))
    monkeypatch.setattr(encode, "PIECE", 500)
    pieces = list(encode.cut(text))
    assert "".join(pieces) == text and len(pieces) > 10
    assert all(p.endswith("\n") and len(p) <= 500 for p in pieces)
    assert [len(p) for p in encode.cut("x" * 1_200)] == [500, 500, 200]


def test_a_source_that_gives_tokens_takes_no_tokenizer(tmp_path):
    config = DataConfig(source="markov", tokenizer=bpe())
    with pytest.raises(ConfigError, match="data.source = 'markov' gives tokens itself"):
        open_store(config, tmp_path)


# ---------------------------------------------------------------------- duplicates


def test_a_file_in_both_parts_is_refused_by_any_name(corpus, tmp_path):
    (corpus / "copy.jsonl").write_bytes((corpus / "a.jsonl").read_bytes())
    with pytest.raises(ConfigError, match="copy.jsonl is in both parts, as a copy of .*a.jsonl"):
        store_of(
            "jsonl", tmp_path, path=str(corpus / "a.jsonl"), validation=str(corpus / "copy.jsonl")
        )


def test_documents_in_both_parts_are_counted_and_too_many_refused(corpus, tmp_path):
    held_out = documents(40, seed=9)
    validation = write_jsonl(tmp_path / "v.jsonl", held_out + TEXTS[:10])
    store = store_of("jsonl", tmp_path, path=str(corpus), validation=str(validation))
    assert store.manifest.facts["validation_in_train"] == 10
    options = {"path": str(corpus), "validation": str(validation)}
    with pytest.raises(ConfigError, match=r"of the validation text is in the training.*10 whole"):
        store_of("jsonl", tmp_path, max_overlap=0.1, **options)
    assert len(list((tmp_path / "data").iterdir())) == 1


def test_near_copies_are_found_by_long_stretches(corpus, tmp_path):
    long = [" ".join(np.random.default_rng(i).choice(list("abcdefgh"), 4_000)) for i in range(8)]
    write_jsonl(corpus / "long.jsonl", long)
    near = [f"{i} new words {text[100:]} and an end" for i, text in enumerate(long[:5])]
    fresh = [" ".join(np.random.default_rng(99).choice(list("abcdefgh"), 4_000))]
    validation = write_jsonl(tmp_path / "v.jsonl", near + fresh)
    options = {"path": str(corpus), "validation": str(validation)}
    with pytest.raises(ConfigError, match="0 whole documents; 5 at least by half"):
        store_of("jsonl", tmp_path, **options)
    (manifest,) = tmp_path.glob("data/*/manifest.json")
    written = manifest.stat().st_mtime_ns
    for tokenizer in (None, bpe(400)):
        store = store_of("jsonl", tmp_path, tokenizer=tokenizer, max_overlap=1, **options)
        if tokenizer is None:  # what was refused is kept: nothing is read again
            assert store.folder == manifest.parent and manifest.stat().st_mtime_ns == written
        assert store.manifest.facts["validation_nearly_in_train"] == 5
        assert 0.7 < store.manifest.facts["overlap"] < 0.95
