"""Text files of one's own: every block once, in one of two parts, and read again when changed."""

import os

import numpy as np
import pytest

from scaling.config import ConfigError, DataConfig
from scaling.data.sources import open_planned, open_store
from scaling.data.text import TextSource

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
    (folder / "picture.png").write_bytes(b"no text")
    return folder, letters


def test_every_byte_is_in_one_part_and_small_files_stay_whole(corpus):
    folder, letters = corpus
    read = TextSource(path=str(folder)).corpus()
    train, validation = bytes(read.train), bytes(read.validation)
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
    run = {"run_id": "a", "config": {"data": {"source": "text", "options": config.options}},
           "science": {"data": {"content": first.manifest.content_hash}}}  # fmt: skip
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
