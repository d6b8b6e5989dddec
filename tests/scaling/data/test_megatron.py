"""Megatron's .bin and .idx: every token, where documents end, and what is wrong with a pair."""

import numpy as np
import pytest

from scalinglab.scaling.errors import ConfigError
from tests.scaling.data.corpora import store_of

TOKENS = np.random.default_rng(0).integers(300, size=6_000)
LENGTHS = np.random.default_rng(1).multinomial(6_000, [1 / 60] * 60)


def write(path, tokens=TOKENS, lengths=LENGTHS, code=8, dtype="uint16"):
    """As Megatron's IndexedDatasetBuilder does, a sequence a document."""
    tokens.astype(dtype).tofile(path.with_suffix(".bin"))
    places = np.concatenate([[0], np.cumsum(lengths)[:-1]]) * np.dtype(dtype).itemsize
    path.with_suffix(".idx").write_bytes(
        b"MMIDIDX\x00\x00"
        + np.array([1], "<u8").tobytes()
        + bytes([code])
        + np.array([len(lengths), len(lengths) + 1], "<u8").tobytes()
        + lengths.astype("<i4").tobytes()
        + places.astype("<i8").tobytes()
        + np.arange(len(lengths) + 1, dtype="<i8").tobytes()
    )
    return path


def megatron(outputs, path, **options):
    named = {"path": str(path), "vocab": 300, "bytes_per_token": 4.0, "held_out": 6}
    return store_of("megatron", outputs, **named | options)


@pytest.mark.parametrize("suffix", ["", ".bin"])
def test_the_last_documents_are_held_out(suffix, tmp_path):
    write(tmp_path / "a_text_document")
    store = megatron(tmp_path, tmp_path / f"a_text_document{suffix}")
    cut = LENGTHS[:-6].sum()
    assert np.array_equal(store.train, TOKENS[:cut])
    assert np.array_equal(store.validation, TOKENS[cut:])
    assert np.array_equal(store.document_ends("train"), np.cumsum(LENGTHS)[:-6])
    assert np.array_equal(store.document_ends("validation"), np.cumsum(LENGTHS[-6:]))


def test_files_of_two_dtypes_follow_each_other(tmp_path):
    """Each says its own, so they may differ."""
    (tmp_path / "train").mkdir()
    write(tmp_path / "train" / "a", TOKENS[: LENGTHS[:20].sum()], LENGTHS[:20])
    write(tmp_path / "train" / "b", TOKENS[LENGTHS[:20].sum() :], LENGTHS[20:], 4, "int32")
    write(tmp_path / "v", TOKENS[::-1], LENGTHS[::-1])
    store = megatron(tmp_path, tmp_path / "train", validation=str(tmp_path / "v"))
    assert np.array_equal(store.train, TOKENS) and np.array_equal(store.validation, TOKENS[::-1])
    assert np.array_equal(store.document_ends("train"), np.cumsum(LENGTHS))


def test_a_store_that_is_refused_for_overlap_is_kept(tmp_path):
    write(tmp_path / "train")
    cut = LENGTHS[:10].sum()
    write(tmp_path / "v", TOKENS[:cut], LENGTHS[:10])
    with pytest.raises(ConfigError, match="of the validation text is in the training text"):
        megatron(tmp_path, tmp_path / "train", validation=str(tmp_path / "v"))
    (kept,) = (tmp_path / "data").iterdir()
    allowed = megatron(
        tmp_path, tmp_path / "train", validation=str(tmp_path / "v"), max_overlap=1.0
    )
    assert allowed.folder == kept


def cut_off(path, bytes_, suffix):
    file = path.with_suffix(suffix)
    file.write_bytes(file.read_bytes()[:-bytes_])


MISTAKES = {
    "no vocab": (lambda p: None, {"vocab": 0}, "data.options.vocab is not set: the number of ids"),
    "small vocab": (lambda p: None, {"vocab": 200}, r"a.bin has the token \d+: .*allows 0 to 199"),
    "no bytes": (
        lambda p: None,
        {"bytes_per_token": 0},
        "bytes_per_token is not set: bytes of the text",
    ),
    "held out": (lambda p: None, {"held_out": 60}, "there are 60 documents; allowed is 1 to 59"),
    "no index": (
        lambda p: p.with_suffix(".idx").unlink(),
        {},
        "a.idx is missing: tokens of Megatron",
    ),
    "torn index": (lambda p: cut_off(p, 5, ".idx"), {}, "a.idx has .* bytes; 60 sequences"),
    "torn tokens": (lambda p: cut_off(p, 50, ".bin"), {}, "5,975 tokens; .*tells of 6,000"),
    "old index": (lambda p: p.with_suffix(".idx").write_bytes(b"TNTIDX\0\0" * 9), {}, "old kind"),
    "other file": (lambda p: p.with_suffix(".idx").write_bytes(b"text" * 9), {}, "no index of Meg"),
    "empty": (lambda p: p.with_suffix(".idx").write_bytes(b""), {}, "no index of Megatron"),
    "floats": (lambda p: write(p, code=7, dtype="float32"), {}, "code 7.* no whole numbers"),
}


@pytest.mark.parametrize("name", MISTAKES)
def test_mistakes_name_the_file(name, tmp_path):
    damage, options, message = MISTAKES[name]
    damage(write(tmp_path / "a"))
    with pytest.raises(ConfigError, match=message):
        megatron(tmp_path / "out", tmp_path / "a", **options)
