"""Tokenizers: text goes in and comes out, ids are of the vocabulary, an artefact is known by its hash."""

import base64
import io
import itertools
import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from scalinglab.scaling.data_config import TokenizerConfig
from scalinglab.scaling.errors import ConfigError
from scalinglab.scaling.records.damage import DamagedFile
from scalinglab.scaling.tokenizers.tiktoken import byte_letters
from scalinglab.scaling.tokenizers.tokenizer import TOKENIZERS
from tests.scaling.data.corpora import bpe, documents, store_of, texts_of, write_jsonl

tokenizers = pytest.importorskip("tokenizers")
TEXTS = [*documents(300), "The end is <|endoftext|> here", "  two  spaces\t\r\n", "0 1 22 333 4444"]


@pytest.fixture
def corpus(tmp_path):
    return str(write_jsonl(tmp_path / "corpus.jsonl", TEXTS))


def artefact(outputs, name):
    (folder,) = outputs.glob(f"tokenizers/{name}-*")
    return folder


def encoder(outputs, name, **options):
    return TOKENIZERS[name](**options).load(artefact(outputs, name))


@pytest.fixture
def trained(tmp_path, corpus):
    """A store by a BPE of 320, and the tokenizer's own library on its file."""
    store = store_of("jsonl", tmp_path, tokenizer=bpe(320), path=corpus)
    return store, artefact(tmp_path, "bpe") / "tokenizer.json"


def decoded(store, tokenizer):
    found = []
    for part in ("train", "validation"):
        ends = store.document_ends(part)
        for first, end in zip([0, *ends[:-1]], ends, strict=True):
            ids = getattr(store, part)[first:end].tolist()
            assert ids[-1] == store.manifest.excluded[0] and ids[-1] not in ids[:-1]
            found.append(tokenizer.decode(ids[:-1], skip_special_tokens=False))
    return sorted(found)


@pytest.mark.parametrize("processes", [1, 2])
def test_every_document_comes_back_from_its_tokens(processes, tmp_path, corpus, monkeypatch):
    """Also one that holds the letters of the separator: no text gives a special token."""
    from scalinglab.scaling.data import build

    monkeypatch.setattr(build, "SMALL", 0)
    store = store_of("jsonl", tmp_path, processes, bpe(320), path=corpus)
    file = artefact(tmp_path, "bpe") / "tokenizer.json"
    assert decoded(store, tokenizers.Tokenizer.from_file(str(file))) == sorted(TEXTS)
    facts = store.manifest.facts
    assert (facts["special_tokens"], facts["unused_tokens"], store.manifest.vocab) == (1, 0, 320)


def test_bytes_of_tokens_add_up_to_those_of_the_text(tmp_path, trained):
    store, _ = trained
    counts = encoder(tmp_path, "bpe").token_bytes()
    for part in ("train", "validation"):
        assert counts[getattr(store, part)].sum() == store.manifest.facts[f"{part}_bytes"]


PROGRAM = """
import sys
from pathlib import Path
from scalinglab.scaling.tokenizers.bpe import BpeTokenizer
texts = Path(sys.argv[1]).read_text().splitlines()
Path(sys.argv[2]).mkdir()
BpeTokenizer(vocab=320).make(Path(sys.argv[2]), lambda: iter(texts))
"""


def test_training_is_deterministic(tmp_path, corpus):
    made = []
    for i, (seed, threads) in enumerate([("0", "1"), ("1", "2")]):
        folder = tmp_path / str(i)
        subprocess.run(
            [sys.executable, "-c", PROGRAM, corpus, str(folder)],
            env=os.environ | {"PYTHONHASHSEED": seed, "RAYON_NUM_THREADS": threads},
            check=True,
        )
        made.append((folder / "tokenizer.json").read_bytes())
    assert made[0] == made[1]


def test_no_document_of_the_validation_part_is_trained_on(tmp_path):
    """Words that validation alone has are no tokens."""
    train = write_jsonl(tmp_path / "t.jsonl", documents(200))
    held_out = write_jsonl(tmp_path / "v.jsonl", ["zyxwzyxw " * 50 + str(i) for i in range(50)])
    store_of("jsonl", tmp_path, tokenizer=bpe(320), path=str(train), validation=str(held_out))
    plain = json.loads((artefact(tmp_path, "bpe") / "tokenizer.json").read_text())
    assert not [token for token in plain["model"]["vocab"] if "zy" in token]


def test_each_vocabulary_has_its_own_artefact_and_each_artefact_its_hash(tmp_path, corpus):
    stores = [store_of("jsonl", tmp_path, tokenizer=bpe(v), path=corpus) for v in (300, 320)]
    hashes = [store.manifest.facts["tokenizer_hash"] for store in stores]
    assert len(set(hashes)) == 2 and len(list((tmp_path / "tokenizers").iterdir())) == 2
    again = store_of("jsonl", tmp_path / "elsewhere", tokenizer=bpe(300), path=corpus)
    assert again.manifest.facts["tokenizer_hash"] == hashes[0]
    per_token = [store.manifest.bytes_per_token for store in stores]
    assert per_token[0] < per_token[1]


def test_an_artefact_that_was_changed_is_refused(tmp_path, corpus):
    store = store_of("jsonl", tmp_path, tokenizer=bpe(320), path=corpus)
    file = artefact(tmp_path, "bpe") / "tokenizer.json"
    file.write_bytes(file.read_bytes().replace(b'"loss"', b'"lass"').replace(b"endof", b"ENDOF"))
    for path in store.folder.iterdir():
        path.unlink()
    store.folder.rmdir()
    with pytest.raises(DamagedFile, match="its files do not have the hash in manifest.json"):
        store_of("jsonl", tmp_path, tokenizer=bpe(320), path=corpus)


# ---------------------------------------------------------------------- given files


def test_a_tokenizer_json_gives_what_it_gave_where_it_was_made(tmp_path, trained, corpus):
    store, file = trained
    for path in (file, file.parent):
        given = TokenizerConfig("hf", {"path": str(path)})
        other = store_of("jsonl", tmp_path / path.name, tokenizer=given, path=corpus)
        assert np.array_equal(other.train, store.train)
        assert other.manifest.content_hash == store.manifest.content_hash


def test_padding_of_a_vocabulary_is_counted(tmp_path, trained, corpus):
    plain = json.loads(trained[1].read_text())
    plain["added_tokens"].append(
        {"id": 330, "content": "<|extra|>", "special": True}
        | dict.fromkeys(("single_word", "lstrip", "rstrip", "normalized"), False)
    )
    plain["model"]["vocab"]["<|extra|>"] = 330
    (tmp_path / "padded.json").write_text(json.dumps(plain))
    given = TokenizerConfig("hf", {"path": str(tmp_path / "padded.json")})
    manifest = store_of("jsonl", tmp_path, tokenizer=given, path=corpus).manifest
    assert (manifest.vocab, manifest.facts["special_tokens"]) == (331, 2)
    assert manifest.facts["unused_tokens"] == 10


def bytes_of(token):
    return bytes(byte_letters().index(letter) for letter in token)


def as_tiktoken(word, ranks):
    """What tiktoken does with one word: the pair of the lowest rank is joined, until none is."""
    parts = [bytes([byte]) for byte in word]
    while True:
        pairs = [
            (ranks.get(a + b, np.inf), i) for i, (a, b) in enumerate(itertools.pairwise(parts))
        ]
        rank, i = min(pairs, default=(np.inf, 0))
        if rank == np.inf:
            return [ranks[part] for part in parts]
        parts[i : i + 2] = [parts[i] + parts[i + 1]]


def test_ranks_of_tiktoken(tmp_path, trained, corpus):
    store, file = trained
    vocab = json.loads(file.read_text())["model"]["vocab"]
    tokens = sorted((t for t in vocab if t != "<|endoftext|>"), key=vocab.get)
    ranks = {bytes_of(token): rank for rank, token in enumerate(tokens)}
    lines = [f"{base64.b64encode(t).decode()} {r}" for t, r in ranks.items()]
    (tmp_path / "own.tiktoken").write_text("\n".join(lines))
    options = {"path": str(tmp_path / "own.tiktoken"), "pattern": "gpt2"}
    given = TokenizerConfig("tiktoken", options)
    other = store_of("jsonl", tmp_path, tokenizer=given, path=corpus)
    assert other.manifest.vocab == 320 and other.manifest.excluded == (319,)
    assert np.array_equal(other.train[other.train != 319] + 1, store.train[store.train != 0])
    words = tokenizers.pre_tokenizers.ByteLevel(add_prefix_space=False)
    ready = encoder(tmp_path, "tiktoken", **options)
    few = TEXTS[-20:]  # what stands for tiktoken here is slow
    for text, ids in zip(few, ready.encode(few), strict=True):
        split = [bytes_of(word) for word, _ in words.pre_tokenize_str(text)]
        assert ids.tolist() == [i for word in split for i in as_tiktoken(word, ranks)]
    counts = ready.token_bytes()
    assert counts[other.train].sum() == other.manifest.facts["train_bytes"]


@pytest.mark.parametrize("pattern", ["cl100k", "o200k"])
def test_other_patterns_give_every_text_back(pattern, tmp_path):
    lines = [f"{base64.b64encode(bytes([b])).decode()} {b}" for b in range(256)]
    (tmp_path / "bytes.tiktoken").write_text("\n".join(lines))
    tokenizer = TOKENIZERS["tiktoken"](path=str(tmp_path), pattern=pattern, separator_id=300)
    tokenizer.make(tmp_path, lambda: iter(()))
    ready = tokenizer.load(tmp_path)
    assert [bytes(ids.tolist()).decode() for ids in ready.encode(TEXTS)] == TEXTS
    assert (ready.separator, ready.vocab, ready.unused) == (300, 301, 44)


@pytest.fixture(scope="module")
def piece_model(tmp_path_factory):
    sentencepiece = pytest.importorskip("sentencepiece")
    model = io.BytesIO()
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(documents(300)),
        model_writer=model,
        vocab_size=330,
        byte_fallback=True,
        minloglevel=2,
        num_threads=1,
    )
    path = tmp_path_factory.mktemp("model") / "m.model"
    path.write_bytes(model.getvalue())
    return path


def test_a_model_of_sentencepiece(piece_model, tmp_path, corpus):
    import sentencepiece

    given = TokenizerConfig("sentencepiece", {"path": str(piece_model)})
    store = store_of("jsonl", tmp_path, tokenizer=given, path=corpus)
    own = sentencepiece.SentencePieceProcessor(model_file=str(piece_model))
    plain = store_of("jsonl", tmp_path, path=corpus)
    for part in ("train", "validation"):
        wanted = [[*own.encode(text), own.eos_id()] for text in texts_of(plain, part)]
        assert getattr(store, part).tolist() == list(itertools.chain(*wanted))
    manifest = store.manifest
    assert manifest.excluded == (own.eos_id(),) and manifest.vocab == 330
    assert manifest.facts["special_tokens"] == 2  # begin and end
    size = manifest.facts["validation_bytes"]
    assert manifest.bytes_per_token == size / len(store.validation)


MISTAKES = {
    "name": (
        "bp",
        {},
        r"data.tokenizer.name = 'bp' is not one of: bpe, bytes, .*; did you mean 'bpe'",
    ),
    "option": ("bpe", {"vocabulary": 300}, "unknown key 'data.tokenizer.options.vocabulary'; did"),
    "bytes": ("bytes", {"vocab": 300}, "unknown key 'data.tokenizer.options.vocab': there are no"),
    "range": (
        "bpe",
        {"vocab": 256},
        "data.tokenizer.options.vocab = 256: allowed is 257 to 1,000,0",
    ),
    "too many": (
        "bpe",
        {"vocab": 50_000},
        "vocab = 50000: the training text has pairs for .* only",
    ),
    "no path": ("hf", {}, "data.tokenizer.options.path is not set: tokenizer.json, or the folder"),
    "no file": ("hf", {"path": "nowhere"}, "options.path = 'nowhere': there is no such file"),
    "no json": (
        "hf",
        {"path": "corpus.jsonl"},
        "corpus.jsonl is no tokenizer.json that can be read",
    ),
    "no ranks": (
        "tiktoken",
        {"path": "corpus.jsonl"},
        "corpus.jsonl, line 1: .* is no token in base 64",
    ),
    "no model": ("sentencepiece", {"path": "corpus.jsonl"}, "corpus.jsonl is no model of Sentence"),
    "pattern": (
        "tiktoken",
        {"path": "a", "pattern": "gpt4"},
        "pattern = 'gpt4' is not one of: gpt2",
    ),
}


@pytest.mark.parametrize("name", MISTAKES)
def test_mistakes_are_one_sentence(name, tmp_path, corpus, monkeypatch):
    tokenizer, options, message = MISTAKES[name]
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ConfigError, match=message):
        store_of("jsonl", Path("out"), tokenizer=TokenizerConfig(tokenizer, options), path=corpus)


def test_a_separator_that_is_no_token_is_refused(tmp_path, trained, corpus):
    given = TokenizerConfig("hf", {"path": str(trained[1]), "separator": "</s>"})
    with pytest.raises(ConfigError, match=r"'</s>': .* its special tokens are: <\|endoftext\|>"):
        store_of("jsonl", tmp_path, tokenizer=given, path=corpus)


def test_ids_above_the_vocabulary_are_refused(tmp_path, corpus, monkeypatch):
    from scalinglab.scaling.tokenizers.bytes import BytesEncoder

    monkeypatch.setattr(BytesEncoder, "vocab", 100)
    monkeypatch.setattr(BytesEncoder, "separator", 99)
    with pytest.raises(
        ConfigError, match=r"the tokenizer gave the id 2\d\d; its vocabulary has 100"
    ):
        store_of("jsonl", tmp_path, path=corpus)
