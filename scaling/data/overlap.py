"""The share of the validation part that is also in the training part.

A stretch of text that is in both parts (200 bytes, the 50 tokens of arXiv 2107.06499) is a
duplicate, at any place in a document. One stretch in 16 is compared: where a hash of two tokens is
small. The content decides, so both parts compare the same stretches.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from scalinglab.scaling.data.manifest import Manifest
from scalinglab.scaling.data.verify import TokenFile
from scalinglab.scaling.errors import ConfigError

STRETCH = 200  # bytes of a stretch that is compared
_SHORTEST, _LONGEST = 8, 256  # tokens of a stretch
_BITS = 28  # a place is compared if its 32-bit hash is below 2^28: one in 16
_BLOCK = 1 << 22  # tokens at once
_FILTER = 1 << 24  # bits of a filter before the exact comparison


@dataclass(frozen=True)
class Overlap:
    """The overlap of the two parts.

    Attributes
    ----------
    share : float
        Share of the compared validation stretches that are in the training part.
    documents : int or None
        Validation documents with at least half of their stretches in the training part; None if the
        ends of documents are unknown.
    tokens : int
        Length of a stretch.
    """

    share: float
    documents: int | None
    tokens: int


def overlap(
    train: np.ndarray | TokenFile,
    validation: np.ndarray | TokenFile,
    bytes_per_token: float,
    ends: np.ndarray | None = None,
) -> Overlap:
    """Compare two parts of a store.

    Parameters
    ----------
    train, validation : ndarray or TokenFile
        Tokens, one-dimensional.
    bytes_per_token : float
        Mean number of bytes of a token, which determines the tokens of a stretch.
    ends : ndarray, optional
        The ends of the documents of the validation part.
    """
    length = int(np.clip(round(STRETCH / max(bytes_per_token, 1e-9)), _SHORTEST, _LONGEST))
    blocks = list(_stretches(validation, length))
    if not blocks:
        return Overlap(0.0, None if ends is None else 0, length)
    places = np.concatenate([block_places for block_places, _ in blocks])
    hashes = np.concatenate([block_hashes for _, block_hashes in blocks])
    distinct, index_of = np.unique(hashes, return_inverse=True)
    in_train = np.zeros(len(distinct), dtype=bool)
    marks = np.zeros(_FILTER, dtype=bool)
    marks[distinct % _FILTER] = True
    for _, train_hashes in _stretches(train, length):
        train_hashes = train_hashes[marks[train_hashes % _FILTER]]
        index = np.searchsorted(distinct, train_hashes)
        index[index == len(distinct)] = 0
        in_train[index[distinct[index] == train_hashes]] = True
    is_shared = in_train[index_of]
    documents = None
    if ends is not None:
        document = np.searchsorted(ends, places, side="right")
        compared = np.bincount(document, minlength=len(ends))
        shared = np.bincount(document, weights=is_shared, minlength=len(ends))
        documents = int(((compared > 0) & (2 * shared >= compared)).sum())
    return Overlap(float(is_shared.mean()), documents, length)


def check_overlap(folder: Path, manifest: Manifest, limit: float) -> None:
    """Refuse a store whose training part holds too much of its validation part.

    It is asked of a finished store, which stays: where the limit is raised, nothing is built again.

    Parameters
    ----------
    folder : Path
        The store, for the message.
    manifest : Manifest
    limit : float
        data.options.max_overlap.

    Raises
    ------
    ConfigError
    """
    facts = manifest.facts
    validation = (manifest.documents or {}).get("validation", 0)
    copies = int(facts.get("validation_in_train", 0))
    share = max(float(facts.get("overlap", 0.0)), copies / max(1, validation))
    if share <= limit:
        return
    near = facts.get("validation_nearly_in_train")
    documents = "" if near is None else f" ({copies:,} whole documents; {near:,} at least by half)"
    raise ConfigError(
        f"data.source = {manifest.source!r}: {share:.0%} of the validation text is in the training"
        f" text{documents}; allowed is data.options.max_overlap = {limit:g}: give other text for"
        f" validation, or a larger max_overlap (the store is kept in {folder}: nothing is read"
        " again)"
    )


def _stretches(
    tokens: np.ndarray | TokenFile, length: int
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Places and hashes (uint64) of the compared stretches, one block of tokens after another."""
    factors = _factors(length)
    for start in range(0, len(tokens) - length + 1, _BLOCK):
        block = tokens[start : start + _BLOCK + length - 1]
        narrow = block.astype(np.uint32)
        mixed = narrow[:-1] * np.uint32(0x9E3779B1) + narrow[1:] * np.uint32(0x85EBCA77)
        mixed ^= mixed >> np.uint32(15)
        mixed *= np.uint32(0x2C1B3C6D)
        chosen = np.flatnonzero(mixed[: len(block) - length + 1] < np.uint32(1 << _BITS))
        if not len(chosen):
            continue
        hashes = np.zeros(len(chosen), dtype=np.uint64)
        for i, factor in enumerate(factors):
            hashes += block[chosen + i].astype(np.uint64) * factor
        hashes ^= hashes >> np.uint64(29)
        yield start + chosen, hashes


def _factors(length: int) -> np.ndarray:
    """Odd factors for the tokens of a stretch, the same in every process and for every store."""
    generator = np.random.Generator(np.random.Philox(key=length))
    return generator.integers(0, 2**63, size=length, dtype=np.uint64) * np.uint64(2) + np.uint64(1)
