"""The standard library as text: the same on every reading, no content twice, validation apart."""

import hashlib
import os
import sysconfig
from pathlib import Path

import numpy as np
import pytest

from scalinglab.scaling.data.stdlib import StdlibSource, distinct_files
from scalinglab.scaling.data.store import TokenStore
from scalinglab.scaling.data.write_store import write_store
from scalinglab.scaling.errors import ConfigError


@pytest.fixture(scope="module")
def corpus():
    return StdlibSource().corpus()


def test_it_reads_the_same_twice(corpus):
    again = StdlibSource().corpus()
    assert np.array_equal(corpus.train, again.train)
    assert np.array_equal(corpus.validation, again.validation)
    assert corpus.facts == again.facts


def test_there_is_enough_of_it(corpus):
    """The quickstart study must never see a token twice."""
    assert len(corpus.train) > 8_000_000
    assert 0.02 < len(corpus.validation) / len(corpus.train) < 0.2
    assert corpus.vocab == 256 and corpus.bytes_per_token == 1.0


def test_every_file_is_in_one_part_as_a_whole(corpus):
    """Rebuilt from the files: one in sixteen by its hash, the others in the order of paths."""
    texts = list(distinct_files(Path(sysconfig.get_path("stdlib"))))
    held_out = sorted((key, text) for text, key in texts if int(key[:4].hex(), 16) % 16 == 0)
    train = [text for text, key in texts if int(key[:4].hex(), 16) % 16]
    assert bytes(corpus.train) == b"".join(train)
    assert bytes(corpus.validation) == b"".join(text for _, text in held_out)


@pytest.fixture
def tree(tmp_path):
    files = {
        "b.py": "second",
        "a.py": "first",
        "a/z.py": "third",
        "copy.py": "first",  # the content of a.py again
        "empty.py": "",
        "notes.txt": "not Python",
        "test/t.py": "a test",
        "a/tests/t.py": "a test below",
        "site-packages/p.py": "another project",
        "tests.py": "a module of that name is no test folder",
    }
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    return tmp_path


def test_each_content_stands_once_in_the_order_of_paths_without_tests(tree):
    texts = [text.decode() for text, _ in distinct_files(tree)]
    assert texts == ["first", "third", "second", "a module of that name is no test folder"]


def test_files_come_with_the_hash_of_their_content(tree):
    assert all(key == hashlib.sha256(text).digest() for text, key in distinct_files(tree))


def test_the_order_does_not_depend_on_when_files_were_made(tree):
    before = list(distinct_files(tree))
    os.rename(tree / "a.py", tree / "moved")
    (tree / "a.py").write_text("first")
    assert list(distinct_files(tree)) == before


@pytest.mark.parametrize("share", [-1, 0, 1])
def test_a_share_that_leaves_no_training_part_is_refused(share):
    with pytest.raises(ConfigError, match=rf"data\.options\.validation_share = {share}"):
        StdlibSource(validation_share=share).corpus()


def test_a_small_validation_sample_is_of_many_files(corpus, tmp_path):
    """The loss is that of the corpus, not of the file that happens to come first."""
    write_store(tmp_path / "store", "stdlib", {}, corpus)
    sample = TokenStore(tmp_path / "store").validation_batch(32_768, context=128)
    text = corpus.validation.tobytes()
    tenths = {text.find(window.astype(np.uint8).tobytes()) * 10 // len(text) for window in sample}
    assert tenths == set(range(10))
