"""A store is whole or absent, says what it holds, and gives windows that overlap by one token."""

import dataclasses
import os
import tracemalloc

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from scalinglab.scaling.data import verify
from scalinglab.scaling.data.order import DataOrder
from scalinglab.scaling.data.store import Corpus, TokenStore, gather, window_count
from scalinglab.scaling.data.write_store import write_store
from scalinglab.scaling.records.damage import DamagedFile

CORPUS = Corpus(
    train=np.arange(100, dtype=np.uint8),
    validation=np.arange(100, 141, dtype=np.uint8),
    vocab=256,
    bytes_per_token=1.5,
    facts={"files": 3},
)


@pytest.fixture
def store(tmp_path):
    write_store(tmp_path / "store", "some", {"a": 1}, CORPUS)
    return TokenStore(tmp_path / "store")


def test_the_last_token_of_a_window_is_the_first_of_the_next():
    windows = gather(np.arange(100, dtype=np.uint16), np.arange(5), context=8)
    assert windows.shape == (5, 9) and windows.dtype == np.uint16
    assert windows[:-1, -1].tolist() == windows[1:, 0].tolist() == [8, 16, 24, 32]


@pytest.mark.parametrize(("tokens", "windows"), [(8, 0), (9, 1), (16, 1), (17, 2), (100, 12)])
def test_the_last_target_needs_one_token_more(tokens, windows):
    assert window_count(tokens, 8) == windows
    assert gather(np.arange(tokens), np.arange(windows), 8).size == windows * 9  # all exist


@given(context=st.integers(1, 30), numbers=st.lists(st.integers(0, 32), max_size=12))
def test_windows_are_those_of_their_places(context, numbers):
    tokens = np.arange(1000, 2000, dtype=np.uint16)
    windows = np.array(numbers, dtype=np.int64).reshape(-1, 2 if len(numbers) % 2 == 0 else 1)
    places = windows[..., None] * context + np.arange(context + 1)
    np.testing.assert_array_equal(gather(tokens, windows, context), tokens[places])


def test_a_window_beyond_the_last_is_an_error():
    with pytest.raises(IndexError):
        gather(np.arange(24), np.array([2]), context=8)


def test_what_is_gathered_takes_little_more_memory_than_itself():
    """An index of each token would take eight times as much."""
    tokens, windows = np.zeros(1_000_000, dtype=np.uint8), np.arange(9_000)
    tracemalloc.start()
    found = gather(tokens, windows, context=100)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 1.2 * found.nbytes


def test_a_training_epoch_sees_every_target_once(store):
    order = DataOrder(window_count(100, 8), seed=3)
    batch = store.training_batches([order], 0, 3, batch=4, context=8).reshape(12, 9)
    assert sorted(batch[:, 1:].ravel()) == list(range(1, 97))
    assert np.array_equal(batch[:, 1:], batch[:, :-1] + 1)  # targets follow their inputs


def test_batches_are_slices_of_each_order(store):
    """And what one order gives does not depend on those beside it."""
    orders = [DataOrder(12, seed=3), DataOrder(12, seed=4, unique=5)]
    whole = store.training_batches(orders, 0, 10, batch=2, context=8)
    assert whole.shape == (10, 2, 2, 9) and whole.dtype == np.uint8
    assert np.array_equal(store.training_batches(orders, 5, 4, batch=2, context=8), whole[5:9])
    for i, order in enumerate(orders):
        assert np.array_equal(
            whole[:, i].reshape(20, 9), gather(store.train, order.windows_at(0, 20), 8)
        )


def test_validation_windows_are_a_fixed_sample_of_the_whole_part(store):
    """Not its first tokens, which may be one long file; a larger sample contains a smaller one."""
    few, many = store.validation_batch(20, context=10), store.validation_batch(40, context=10)
    assert many[: len(few)].tolist() == few.tolist()
    assert store.validation_batch(40, context=10).tolist() == many.tolist()
    starts = set(many[:, 0].tolist())
    assert len(starts) == 4 and all(start % 10 == 0 for start in starts)
    everything = store.validation_batch((len(store.validation) - 1) // 10 * 10, context=10)
    assert sorted(everything[:, 0].tolist()) == list(range(100, 100 + 10 * len(everything), 10))


def test_the_manifest_says_what_the_store_holds(store):
    manifest = store.manifest
    assert (manifest.train_tokens, manifest.validation_tokens) == (100, 41)
    assert (manifest.source, manifest.options, manifest.vocab) == ("some", {"a": 1}, 256)
    assert (manifest.bytes_per_token, manifest.facts) == (1.5, {"files": 3})
    assert np.array_equal(store.train, CORPUS.train)
    assert np.array_equal(store.validation, CORPUS.validation)


@pytest.mark.parametrize("part", ["train", "validation"])
def test_one_changed_token_changes_the_content_hash(tmp_path, part):
    tokens = getattr(CORPUS, part).copy()
    tokens[17] ^= 1
    changed = dataclasses.replace(CORPUS, **{part: tokens})
    assert content(tmp_path / "a", changed) != content(tmp_path / "b", CORPUS)


def test_moving_a_token_from_one_part_to_the_other_changes_the_content_hash(tmp_path):
    both = np.concatenate([CORPUS.train, CORPUS.validation])
    moved = dataclasses.replace(CORPUS, train=both[:99], validation=both[99:])
    assert content(tmp_path / "a", moved) != content(tmp_path / "b", CORPUS)


def test_two_byte_tokens_come_back(tmp_path):
    tokens = np.arange(60_000, 60_100, dtype=np.uint16)
    wide = dataclasses.replace(CORPUS, train=tokens, validation=tokens[:50], vocab=65_536)
    write_store(tmp_path / "store", "some", {}, wide)
    store = TokenStore(tmp_path / "store")
    windows = store.validation_batch(8, context=4)
    assert (np.diff(windows) == 1).all() and windows.min() >= 60_000


def test_the_second_of_two_writers_leaves_the_first_ones_store(tmp_path):
    folder = tmp_path / "store"
    write_store(folder, "first", {}, CORPUS)
    write_store(folder, "second", {}, CORPUS)
    assert TokenStore(folder).manifest.source == "first"
    assert np.array_equal(TokenStore(folder).train, CORPUS.train)
    assert [p.name for p in tmp_path.iterdir()] == ["store"]  # nothing is left aside


def content(folder, corpus):
    return write_store(folder, "some", {}, corpus).content_hash


# ---------------------------------------------------------------------- damaged files


@pytest.mark.parametrize(
    ("name", "change", "why"),
    [
        ("train.bin", lambda c: c[:50] + bytes([c[50] ^ 1]) + c[51:], "hash is in manifest.json"),
        ("validation.bin", lambda c: bytes([c[0] ^ 128]) + c[1:], "hash is in manifest.json"),
        ("validation.bin", lambda c: c[:-1], "it has 40 bytes; 41 tokens of uint8 have 41"),
        ("train.bin", lambda c: None, "it is gone"),
        ("manifest.json", lambda c: c.replace(b"1.5", b"1.6"), "does not match its checksum"),
        ("manifest.json", lambda c: b"{}", "it has no key 'source'"),
    ],
)
def test_a_damaged_store_is_refused(store, name, change, why):
    path = store.folder / name
    changed = change(path.read_bytes())
    path.unlink() if changed is None else path.write_bytes(changed)
    with pytest.raises(DamagedFile, match=f"{name}.*{why}.*remove the folder of this store"):
        TokenStore(store.folder)


def test_what_was_compared_once_is_sampled_from_then_on(store, monkeypatch):
    """All of it again where a file was touched; a change that leaves its times is in the sample."""
    whole = []
    check = verify._check_whole
    monkeypatch.setattr(verify, "_check_whole", lambda *a: (whole.append(a), check(*a))[1])
    for _ in range(3):
        TokenStore(store.folder)
    assert not whole  # it was compared when the fixture opened it
    os.utime(store.folder / "train.bin")
    for _ in range(2):
        TokenStore(store.folder)
    assert len(whole) == 1
    monkeypatch.setattr(verify, "_mark", lambda path: [0])
    TokenStore(store.folder)
    (store.folder / "train.bin").write_bytes(bytes(100))
    with pytest.raises(DamagedFile, match=r"train.bin is damaged: bytes 0 to .* are not what they"):
        TokenStore(store.folder)


def test_what_is_remembered_of_a_store_may_be_lost(store):
    (cache,) = store.folder.glob("verified-*.json")
    for content in ("", "[]", '{"content_hash": 1}'):
        cache.write_text(content)
        TokenStore(store.folder)
        assert "sums" in cache.read_text()
