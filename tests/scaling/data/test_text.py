"""Text files of one's own: every block once, in one of two parts, and read again when changed."""

import hashlib
import os
import tracemalloc
from types import SimpleNamespace

import numpy as np
import pytest

from scalinglab.scaling.data.mixed import open_planned
from scalinglab.scaling.data.sources import open_store
from scalinglab.scaling.data.text import TextSource
from scalinglab.scaling.data.write_store import write_store
from scalinglab.scaling.data_config import DataConfig
from scalinglab.scaling.errors import ConfigError

BLOCK = 65_536


@pytest.fixture
def corpus(tmp_path):
    """A folder of small files and a large one, with copies and a file of another kind."""
    letters = np.random.default_rng(0).integers(97, 123, 40 * BLOCK, dtype=np.uint8).tobytes()
    folder = tmp_path / "corpus"
    (folder / "small").mkdir(parents=True)
    for i in range(200):
        (folder / "small" / f"{i}.txt").write_bytes(letters[i * 100 : (i + 1) * 100])
    (folder / "copy.txt").write_bytes(letters[:100])
    (folder / "large.txt").write_bytes(letters[20_000:])
    (folder / "picture.png").write_bytes(b"\x89PNG\r\n\x1a\n")
    return folder, letters


def test_every_byte_is_in_one_part_and_small_files_stay_whole(corpus):
    folder, letters = corpus
    read = TextSource(path=str(folder)).corpus()
    train, validation = (
        b"".join(map(bytes, part.parts())) for part in (read.train, read.validation)
    )
    assert len(train) + len(validation) == len(letters) and read.facts == {"files": 202}
    for i in range(200):
        small = letters[i * 100 : (i + 1) * 100]
        assert (small in train) != (small in validation)
    assert 0.01 < len(validation) / len(letters) < 0.2
    of_one = TextSource(path=str(folder / "large.txt"), validation_share=4).corpus()
    assert len(of_one.validation) % BLOCK < BLOCK and len(of_one.train) > len(of_one.validation) > 0


def test_a_changed_file_is_read_again_and_planned_runs_keep_what_they_had(corpus, tmp_path):
    folder, _ = corpus
    config = DataConfig(source="text", options={"path": str(folder)})
    first = open_store(config, tmp_path)
    assert open_store(config, tmp_path).folder == first.folder
    (folder / "small" / "0.txt").write_text("something else")
    second = open_store(config, tmp_path)
    assert second.manifest.content_hash != first.manifest.content_hash
    run = SimpleNamespace(
        run_id="a",
        config={"data": {"source": "text", "options": config.options}},
        data=SimpleNamespace(content=first.manifest.content_hash, pools={}, noise=0.0, chosen={}),
    )
    os.rename(folder, tmp_path / "moved")  # a planned run needs its store, not the files
    assert open_planned(run, tmp_path).folder == first.folder


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({}, "data.options.path is not set: a text file, or a folder of them"),
        ({"path": "nowhere"}, "data.options.path = 'nowhere': there is no such file or folder"),
        ({"path": ".", "pattern": "*.tex"}, r"no file in it or below matches data.options.pattern"),
        ({"path": "one.txt"}, "has 1 blocks of text: too few to hold out one in 16"),
        ({"path": "one.txt", "validation_share": 1}, "validation_share = 1: allowed is 2 or more"),
    ],
)
def test_what_cannot_be_read_is_said(options, message, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "one.txt").write_text("a line")
    with pytest.raises(ConfigError, match=message):
        TextSource(**options).corpus()


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"\x1f\x8b\x08\x00", "of the kind gzip, not what it is to be read as: decompress it"),
        (b"\x28\xb5\x2f\xfd", "Zstandard"),
        (b"PAR1\x15\x04", "parquet"),
        (b"BZh91AY&SY", "bzip2"),
        (b"%PDF-1.7", "PDF.*take it out of the folder"),
        (b"\x7fELF", "ELF program"),
        ("in Windows".encode("utf-16"), "byte 3 is zero, as in UTF-16.*convert it to UTF-8"),
    ],
)
def test_what_is_no_text_is_refused(content, message, tmp_path):
    (tmp_path / "one.txt").write_bytes(content + b"letters" * 20_000)
    with pytest.raises(ConfigError, match=message):
        TextSource(path=str(tmp_path)).corpus()


def test_text_takes_no_memory(tmp_path):
    """What is held of it are marks of its blocks; the store is that which reading it whole made."""
    letters = np.random.default_rng(0).integers(97, 123, 400 * BLOCK, dtype=np.uint8)
    letters.tofile(tmp_path / "large.txt")
    config = DataConfig(source="text", options={"path": str(tmp_path / "large.txt")})
    tracemalloc.start()
    store = open_store(config, tmp_path)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < len(letters) / 2
    blocks = letters.reshape(400, BLOCK)
    held_out = [hashlib.sha256(block).digest()[3] % 16 == 0 for block in blocks]
    assert np.array_equal(store.validation, blocks[held_out].ravel())
    assert np.array_equal(store.train, blocks[~np.array(held_out)].ravel())


def test_text_that_is_changed_while_it_is_read_makes_no_store(tmp_path, monkeypatch):
    path = tmp_path / "large.txt"
    np.random.default_rng(0).integers(97, 123, 40 * BLOCK, dtype=np.uint8).tofile(path)
    corpus = TextSource(path=str(path)).corpus()
    path.write_bytes(path.read_bytes()[:-BLOCK])
    with pytest.raises(ConfigError, match="changed while they were read"):
        write_store(tmp_path / "data" / "text-a", "text", {}, corpus)
    assert not list((tmp_path / "data").iterdir())
