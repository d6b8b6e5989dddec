"""Tokens of somebody else's files: what they hold, and what is wrong with them."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest

from scalinglab.scaling.data import shards as shard_files
from scalinglab.scaling.data import tokens
from scalinglab.scaling.data.sources import open_store
from scalinglab.scaling.data_config import DataConfig
from scalinglab.scaling.errors import ConfigError

TOKENS = np.random.default_rng(0).integers(300, size=10_000)


@pytest.fixture
def shards(tmp_path):
    """Two training files, whose second is shorter, and one for validation; none in order."""
    folder = tmp_path / "shards"
    folder.mkdir()
    for name, part in {
        "train_b": TOKENS[6_000:9_000],
        "train_a": TOKENS[:6_000],
        "validation": TOKENS[9_000:],
    }.items():
        part.astype(np.uint16).tofile(folder / f"{name}.bin")
    return folder


def store(outputs, **options):
    named = {"vocab": 300, "bytes_per_token": 4.5} | options
    return open_store(DataConfig(source="tokens", options=named), outputs)


@pytest.fixture(autouse=True)
def small_pieces(monkeypatch):
    """So that files are read in several."""
    monkeypatch.setattr(shard_files, "_PIECE", 1_024)


def test_files_follow_each_other_by_name(shards, tmp_path):
    found = store(tmp_path, train=f"{shards}/train_*.bin", validation=f"{shards}/validation.bin")
    assert np.array_equal(found.train, TOKENS[:9_000])
    assert np.array_equal(found.validation, TOKENS[9_000:])
    manifest = found.manifest
    assert (manifest.dtype, manifest.vocab, manifest.bytes_per_token) == ("uint16", 300, 4.5)
    assert (manifest.train_tokens, manifest.validation_tokens) == (9_000, 1_000)


@pytest.mark.parametrize("how", ["the pattern", "a link", "a copy"])
def test_a_file_is_not_both_trained_on_and_validated_on(shards, tmp_path, how):
    named = shards / "validation.bin"
    twice = named if how == "the pattern" else shards / "train_c.bin"
    if how == "a link":
        twice.symlink_to(named)
    elif how == "a copy":
        twice.write_bytes(named.read_bytes())
    train = f"{shards}/*.bin" if how == "the pattern" else f"{shards}/train_*.bin"
    with pytest.raises(ConfigError, match=r"validation\.bin is in both parts"):
        store(tmp_path, train=train, validation=str(named))
    assert not list((tmp_path / "data").glob("[!.]*"))


def test_files_of_one_size_are_no_copies(shards, tmp_path):
    (shards / "train_c.bin").write_bytes((shards / "validation.bin").read_bytes()[::-1])
    found = store(
        tmp_path, train=f"{shards}/train_*.bin", validation=f"{shards}/validation.bin", vocab=65_536
    )
    assert len(found.train) == 10_000


def test_without_validation_files_the_last_tokens_are_held_out(shards, tmp_path):
    found = store(tmp_path, train=f"{shards}/train_*.bin", held_out=3_500)
    assert np.array_equal(found.train, TOKENS[:5_500])  # the cut lies in the first file
    assert np.array_equal(found.validation, TOKENS[5_500:9_000])


@pytest.mark.parametrize("dtype", tokens.DTYPES[1:])
@pytest.mark.parametrize("header", [0, 1024])
def test_what_a_file_is_written_in_is_no_matter(tmp_path, dtype, header):
    path = tmp_path / "all.bin"
    path.write_bytes(b"\xff" * header + TOKENS.astype(dtype).tobytes())
    found = store(tmp_path, train=str(path), dtype=dtype, header_bytes=header, held_out=1_000)
    assert np.array_equal(np.concatenate([found.train, found.validation]), TOKENS)


def test_an_array_of_numpy_says_its_own_dtype(tmp_path):
    np.save(tmp_path / "all.npy", TOKENS.reshape(100, 100))
    found = store(tmp_path, train=f"{tmp_path}/all.npy", held_out=1_000)
    assert np.array_equal(found.train, TOKENS[:9_000])


@pytest.mark.parametrize(
    ("vocab", "dtype"), [(256, "uint8"), (65_536, "uint16"), (65_537, "int32")]
)
def test_a_store_is_as_narrow_as_the_vocabulary_allows(tmp_path, vocab, dtype):
    """And no token is cut: the largest comes back."""
    given = np.array([0, 1, vocab - 1, 2] * 10)
    given.astype("uint32").tofile(tmp_path / "a.bin")
    found = store(tmp_path, train=f"{tmp_path}/a.bin", dtype="uint32", vocab=vocab, held_out=4)
    assert found.train.dtype == dtype and np.array_equal(found.train, given[:-4])


def test_the_same_tokens_in_other_files_are_the_same_data(shards, tmp_path):
    """Runs have the same ids then."""
    one = store(tmp_path, train=f"{shards}/train_*.bin", held_out=500)
    np.save(tmp_path / "all.npy", TOKENS[:9_000])
    other = store(tmp_path, train=f"{tmp_path}/all.npy", held_out=500)
    assert one.folder != other.folder
    assert one.manifest.content_hash == other.manifest.content_hash


def test_a_changed_file_is_another_store(shards, tmp_path):
    options = {"train": f"{shards}/train_a.bin", "held_out": 500}
    before = store(tmp_path, **options)
    TOKENS[::-1][:6_000].astype(np.uint16).tofile(shards / "train_a.bin")
    after = store(tmp_path, **options)
    assert before.manifest.content_hash != after.manifest.content_hash
    assert np.array_equal(before.train, TOKENS[:5_500])  # what was trained on is still there


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({}, r"options\.train is not set: a \.bin or \.npy file"),
        ({"train": "none_*.bin"}, r"options\.train = 'none_\*\.bin': no such file"),
        (
            {"train": "train_a.bin", "validation": "no.bin"},
            r"options\.validation = 'no\.bin': no such",
        ),
        ({"train": "."}, r"options\.train = '\.': it is a folder; give a pattern, \./\*\.bin"),
        ({"train": "train_a.bin", "vocab": 0}, r"options\.vocab is not set: the number of ids"),
        ({"train": "train_a.bin", "vocab": 1}, r"options\.vocab = 1: allowed is 2 or more"),
        ({"train": "train_a.bin", "bytes_per_token": 0}, r"bytes_per_token is not set: bytes of"),
        (
            {"train": "train_a.bin", "bytes_per_token": -1},
            r"bytes_per_token = -1\.0: allowed is above 0",
        ),
        ({"train": "train_a.bin", "dtype": "float32"}, r"options\.dtype = 'float32' is not one of"),
        ({"train": "train_a.bin", "vocab": 200}, r"train_a\.bin has the token 299: .*vocab = 200"),
        (
            {"train": "train_a.bin", "header_bytes": 3},
            r"has 12000 bytes: after .*header_bytes = 3 no",
        ),
        (
            {"train": "train_a.bin", "header_bytes": 12_000},
            r"after .*header_bytes = 12000 no whole",
        ),
        ({"train": "train_a.bin", "held_out": 6_000}, r"held_out = 6000: .* allowed is 1 to 5999"),
    ],
)
def test_mistakes_are_told_and_leave_nothing_behind(
    shards, monkeypatch, tmp_path, options, message
):
    monkeypatch.chdir(shards)
    with pytest.raises(ConfigError, match=message):
        store(tmp_path, **({"held_out": 100} | options))
    assert not any((tmp_path / "data").glob("*")) if (tmp_path / "data").exists() else True


def test_numbers_that_are_no_tokens_are_refused(tmp_path):
    np.save(tmp_path / "all.npy", TOKENS / 2)
    with pytest.raises(ConfigError, match=r"all\.npy holds float64; tokens are whole numbers"):
        store(tmp_path, train=f"{tmp_path}/all.npy")
    (-TOKENS).astype("int32").tofile(tmp_path / "a.bin")
    with pytest.raises(ConfigError, match=r"a\.bin has the token -299: .* allows 0 to 299"):
        store(tmp_path, train=f"{tmp_path}/a.bin", dtype="int32", held_out=100)


# ---------------------------------------------------------------------- what it really is


@pytest.mark.parametrize(
    ("content", "options", "message"),
    [
        (TOKENS.astype(np.int32).tobytes(), {}, "integers of 32 bits, not uint16.*= uint32"),
        (TOKENS.astype(">u4").tobytes(), {}, "integers of 32 bits, not uint16"),
        (TOKENS.astype(np.int64).tobytes(), {}, "integers of 64 bits, not uint16.*= int64"),
        (TOKENS.astype(np.int64).tobytes(), {"dtype": "uint32"}, "integers of 64 bits"),
        (TOKENS.astype(np.uint16).tobytes(), {"dtype": "uint8"}, "integers of 16 bits, not uint8"),
        ((TOKENS * 333).astype(np.int32).tobytes(), {"vocab": 100_277}, "integers of 32 bits"),
        (np.full(5_000, 7, np.uint16).tobytes(), {}, "7 and nothing else"),
        (b"Once upon a time.\n" * 500, {"vocab": 50_257}, "holds text, not uint16: use data=text"),
        (b"\x1f\x8b\x08\x00" + bytes(4_096), {}, "of the kind gzip.*decompress it first"),
        (b"\x93NUMPY\x01\x00" + bytes(4_096), {}, "NumPy.*suffix .npy"),
        (b"PK\x03\x04" + bytes(4_096), {}, "ZIP"),
    ],
)
def test_what_is_no_such_tokens_is_refused(tmp_path, content, options, message):
    path = tmp_path / "all.bin"
    path.write_bytes(content)
    with pytest.raises(ConfigError, match=message):
        store(tmp_path, train=str(path), held_out=100, **options)


def test_a_file_that_is_called_an_array_and_is_none_is_refused(tmp_path):
    (tmp_path / "all.npy").write_bytes(b"\x1f\x8b\x08" + bytes(4_096))
    with pytest.raises(ConfigError, match=r"all.npy is no array of NumPy"):
        store(tmp_path, train=f"{tmp_path}/all.npy", held_out=100)


def test_tokens_with_a_high_half_are_no_mistake(tmp_path):
    """A large vocabulary uses it; and a few tokens prove nothing."""
    (TOKENS * 333).astype(np.uint32).tofile(tmp_path / "all.bin")
    found = store(
        tmp_path, train=f"{tmp_path}/all.bin", vocab=100_277, dtype="uint32", held_out=1_000
    )
    assert np.array_equal(found.train, TOKENS[:9_000] * 333)
    np.zeros(100, np.uint16).tofile(tmp_path / "few.bin")
    assert len(store(tmp_path, train=f"{tmp_path}/few.bin", held_out=10).train) == 90


def test_a_file_whose_name_looks_like_a_pattern_is_that_file(tmp_path):
    TOKENS.astype(np.uint16).tofile(tmp_path / "train [v2]*.bin")
    found = store(tmp_path, train=f"{tmp_path}/train [v2]*.bin", held_out=1_000)
    assert np.array_equal(found.train, TOKENS[:9_000])


# ---------------------------------------------------------------------- documents, llm.c


def test_a_separator_tells_where_documents_end(shards, tmp_path):
    named = {"train": f"{shards}/train_*.bin", "validation": f"{shards}/validation.bin"}
    found = store(tmp_path, separator=7, **named)
    for part, ids in (("train", TOKENS[:9_000]), ("validation", TOKENS[9_000:])):
        wanted = np.union1d(np.flatnonzero(ids == 7) + 1, [len(ids)])
        assert np.array_equal(found.document_ends(part), wanted)
        assert found.manifest.documents[part] == len(wanted)
    assert found.manifest.excluded == (7,)
    plain = store(tmp_path, **named)
    assert plain.document_ends("train") is None and plain.manifest.excluded == ()
    assert plain.manifest.content_hash != found.manifest.content_hash  # another loss
    with pytest.raises(ConfigError, match="separator = 300: data.options.vocab = 300 allows 0"):
        store(tmp_path, separator=300, **named)


def test_tokens_that_are_copied_into_the_training_files_are_refused(shards, tmp_path):
    """By no name and no file of their own: found by long stretches of them."""
    both = np.concatenate([TOKENS[:100], TOKENS[9_000:9_900]])
    both.astype(np.uint16).tofile(shards / "train_c.bin")
    named = {"train": f"{shards}/train_*.bin", "validation": f"{shards}/validation.bin"}
    message = r"9\d% of the validation text is in the training text;.*the store is kept in (.*):"
    with pytest.raises(ConfigError, match=message) as refused:
        store(tmp_path, **named)
    kept = Path(re.search(message, str(refused.value))[1])
    written = (kept / "manifest.json").stat().st_mtime_ns
    allowed = store(tmp_path, max_overlap=1, **named)
    assert allowed.folder == kept  # nothing is read again
    assert (kept / "manifest.json").stat().st_mtime_ns == written
    assert 0.8 < allowed.manifest.facts["overlap"] < 1


def write_llmc(path, ids, dtype="uint16", count=None):
    header = np.zeros(256, "<i4")
    header[:3] = (
        {"uint16": 20240520, "uint32": 20240801}[dtype],
        1,
        len(ids) if count is None else count,
    )
    path.write_bytes(header.tobytes() + ids.astype(dtype).tobytes())


@pytest.mark.parametrize("dtype", ["uint16", "uint32"])
def test_shards_of_llmc(dtype, tmp_path):
    write_llmc(tmp_path / "train.bin", TOKENS, dtype)
    train = str(tmp_path / "train.bin")
    with pytest.raises(ConfigError, match=f"of llm.c: give .*header_bytes=1024 .*dtype={dtype}"):
        store(tmp_path, train=train, held_out=1_000)
    found = store(tmp_path, train=train, held_out=1_000, header_bytes=1024, dtype=dtype)
    assert np.array_equal(found.train, TOKENS[:9_000])
    write_llmc(tmp_path / "train.bin", TOKENS, dtype, count=20_000)
    with pytest.raises(ConfigError, match="says in its header that it has 20,000 tokens.*cut off"):
        store(tmp_path, train=train, held_out=1_000, header_bytes=1024, dtype=dtype)


def test_shards_of_two_dtypes_are_refused(shards, tmp_path):
    TOKENS[:5_000].astype(np.uint32).tofile(shards / "train_c.bin")
    with pytest.raises(ConfigError, match="train_c.bin holds integers of 32 bits, not uint16"):
        store(tmp_path, train=f"{shards}/train_*.bin", held_out=1_000)
