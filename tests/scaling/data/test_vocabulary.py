"""Bits per byte on the very windows of a validation, and the loss of a unigram model on them."""

import numpy as np
import pytest
import tokenizers

from scalinglab.scaling.data.mixed import bytes_per_token, unigram_entropy
from tests.scaling.data.corpora import bpe, documents, store_of, write_jsonl

TOKENS, CONTEXT = 512, 32


@pytest.fixture
def corpus(tmp_path):
    return str(write_jsonl(tmp_path / "a.jsonl", documents(600)))


@pytest.mark.parametrize("tokenizer", [None, bpe(320)], ids=["bytes", "bpe"])
def test_bytes_are_those_of_the_windows(tokenizer, corpus, tmp_path):
    store = store_of("jsonl", tmp_path, tokenizer=tokenizer, path=corpus)
    targets = store.validation_batch(TOKENS, CONTEXT)[:, 1:]
    if tokenizer is None:
        size = (targets != 255).sum()
    else:
        (file,) = tmp_path.glob("tokenizers/bpe-*/tokenizer.json")
        one = tokenizers.Tokenizer.from_file(str(file))
        size = sum(len(one.id_to_token(i)) for i in targets.ravel().tolist() if i != 0)
    assert bytes_per_token(store, TOKENS, CONTEXT) == size / targets.size
    whole = bytes_per_token(store, len(store.validation) - CONTEXT, CONTEXT)
    assert whole == pytest.approx(store.manifest.bytes_per_token, rel=0.02)


def test_the_unigram_model_knows_how_often_each_token_is(corpus, tmp_path):
    store = store_of("jsonl", tmp_path, path=corpus)
    every = np.concatenate([store.train, store.validation])
    counts = np.bincount(every[every != 255], minlength=256)
    targets = store.validation_batch(TOKENS, CONTEXT)[:, 1:].ravel()
    text = targets[targets != 255]
    wanted = -np.log(counts[text] / counts.sum()).sum() / len(targets)
    assert unigram_entropy(store, TOKENS, CONTEXT) == pytest.approx(wanted)


def test_a_store_without_documents_tells_what_its_source_said(tiny_store):
    assert bytes_per_token(tiny_store, 64, 16) == tiny_store.manifest.bytes_per_token
    assert unigram_entropy(tiny_store, 64, 16) is None
