"""Documents for the tests of sources: deterministic, of several lengths and alphabets."""

import json

import numpy as np

from scalinglab.scaling.data.sources import open_store
from scalinglab.scaling.data_config import DataConfig, TokenizerConfig

WORDS = "the law of loss and size; Größe, 尺寸, размер: x = y + 1\n".split(" ")


def documents(count, seed=0, words=60):
    """Texts of 1 to `words` words each."""
    rng = np.random.default_rng(seed)
    return [
        f"{seed}-{i} " + " ".join(rng.choice(WORDS, size=rng.integers(1, words)))
        for i in range(count)
    ]


def write_jsonl(path, texts, **columns):
    path.parent.mkdir(parents=True, exist_ok=True)
    rows = [
        {"text": text} | {name: values[i] for name, values in columns.items()}
        for i, text in enumerate(texts)
    ]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def store_of(kind, outputs, processes=1, tokenizer=None, **options):
    config = DataConfig(source=kind, options=options, tokenizer=tokenizer)
    return open_store(config, outputs, processes)


def bpe(vocab=300, **options):
    return TokenizerConfig("bpe", {"vocab": vocab} | options)


def texts_of(store, part="train"):
    """The documents of a store of bytes, read back."""
    tokens, ends = getattr(store, part), store.document_ends(part)
    starts = [0, *ends[:-1]]
    return [bytes(tokens[a : b - 1]).decode() for a, b in zip(starts, ends, strict=True)]
