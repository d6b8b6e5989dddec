"""The bytes of the text of each token of a store, and its counts.

Stored beside the tokens of documents. From it come bits per byte on the very windows of a run's
validation, and the loss of a unigram model, against which losses of two vocabularies are compared
(arXiv 2407.13623).
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np

from scalinglab.scaling.data.manifest import Manifest
from scalinglab.scaling.records.atomic import write_atomic

BYTES, COUNTS = "token_bytes.bin", "token_counts.bin"  # int32 and int64, (vocab,)
_BLOCK = 1 << 22  # tokens that are counted at once: numpy makes int64 of them


class HasWindows(Protocol):
    """A store of tokens with validation windows."""

    def validation_batch(self, tokens: int, context: int) -> np.ndarray:
        """Tokens of the windows, (count, context + 1)."""


@dataclass(frozen=True)
class Vocabulary:
    """Numbers of each token, (vocab,) each; None: not known.

    Attributes
    ----------
    bytes : ndarray or None
        Bytes of text that it stands for, 0 if it is no text.
    counts : ndarray or None
        How often it is in the store.
    excluded : tuple of int
        Tokens that are no text.
    """

    bytes: np.ndarray | None
    counts: np.ndarray | None
    excluded: tuple[int, ...]

    def bytes_per_token(self, store: HasWindows, tokens: int, context: int) -> float | None:
        """Bytes of text that a target of the validation windows stands for, on average."""
        if self.bytes is None:
            return None
        targets = store.validation_batch(tokens, context)[:, 1:]
        return float(self.bytes[targets].sum(dtype=np.int64) / targets.size)

    def unigram_entropy(self, store: HasWindows, tokens: int, context: int) -> float | None:
        """Loss on the validation windows of a model that knows how often each token is."""
        if self.counts is None:
            return None
        counts = self.counts.astype(np.float64)
        counts[list(self.excluded)] = 0
        losses = np.zeros(len(counts))
        seen = counts > 0
        losses[seen] = np.log(counts.sum() / counts[seen])
        targets = store.validation_batch(tokens, context)[:, 1:]
        return float(losses[targets].mean())


def read_vocabulary(folder: Path, manifest: Manifest) -> Vocabulary:
    """Bytes and counts of a store's tokens; None if it has no documents."""
    return Vocabulary(
        _read(folder / BYTES, "int32", manifest.vocab),
        _read(folder / COUNTS, "int64", manifest.vocab),
        manifest.excluded,
    )


def token_counts(tokens: np.ndarray, vocab: int) -> np.ndarray:
    """Counts of each token in a mapped array, int64 (vocab,)."""
    counts = np.zeros(vocab, dtype=np.int64)
    for start in range(0, len(tokens), _BLOCK):
        counts += np.bincount(tokens[start : start + _BLOCK], minlength=vocab)
    return counts


def kept_counts(path: Path, vocab: int, count: Callable[[], np.ndarray]) -> np.ndarray:
    """Counts of tokens, float64 (vocab,), from their file; they are counted if there is none."""
    kept = _read(path, "float64", vocab)
    if kept is not None:
        return kept
    counts = count().astype(np.float64)
    with contextlib.suppress(OSError):  # in a read-only store they are counted each time
        write_atomic(path, counts.tobytes())
    return counts


def _read(path: Path, dtype: str, vocab: int) -> np.ndarray | None:
    if not path.exists() or path.stat().st_size != vocab * np.dtype(dtype).itemsize:
        return None
    return np.fromfile(path, dtype)
