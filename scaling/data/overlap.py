"""How much of the validation part the training part holds as well.

A stretch of text that is in both (200 bytes, the 50 tokens of arXiv 2107.06499) is a duplicate,
wherever in its document it stands. Stretches are looked at where a hash of two tokens is 0 modulo
16, in both parts alike: a share of all, the same one on both sides, chosen by content.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from scalinglab.scaling.data.verify import TokenFile
from scalinglab.scaling.errors import ConfigError

STRETCH = 200  # bytes of a stretch that is compared
_SHORTEST, _LONGEST = 8, 256  # tokens of it
_BITS = 28  # the places looked at are those whose hash of 32 bits is below 2^28: one in 16
_BLOCK = 1 << 22  # tokens at once
_FILTER = 1 << 24  # bits of a filter before the exact comparison


@dataclass(frozen=True)
class Overlap:
    """What was found.

    Attributes
    ----------
    share : float
        Of the stretches of the validation part that were looked at: those in the training part.
    documents : int or None
        Validation documents of whose stretches half or more are; None: documents are not known.
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
        Of their text: it says how many tokens a stretch has.
    ends : ndarray, optional
        Where the documents of the validation part end.
    """
    length = int(np.clip(round(STRETCH / max(bytes_per_token, 1e-9)), _SHORTEST, _LONGEST))
    own = list(_stretches(validation, length))
    if not own:
        return Overlap(0.0, None if ends is None else 0, length)
    places = np.concatenate([p for p, _ in own])
    hashes = np.concatenate([h for _, h in own])
    wanted, where = np.unique(hashes, return_inverse=True)
    met = np.zeros(len(wanted), dtype=bool)
    marks = np.zeros(_FILTER, dtype=bool)
    marks[wanted % _FILTER] = True
    for _, others in _stretches(train, length):
        others = others[marks[others % _FILTER]]
        index = np.searchsorted(wanted, others)
        index[index == len(wanted)] = 0
        met[index[wanted[index] == others]] = True
    found = met[where]
    documents = None
    if ends is not None:
        of = np.searchsorted(ends, places, side="right")
        looked = np.bincount(of, minlength=len(ends))
        shared = np.bincount(of, weights=found, minlength=len(ends))
        documents = int(((looked > 0) & (2 * shared >= looked)).sum())
    return Overlap(float(found.mean()), documents, length)


def refuse_overlap(
    source: str, found: Overlap, share: float, limit: float, copies: int = 0
) -> None:
    """Raise `ConfigError` if more of the validation part is trained on than is allowed.

    Parameters
    ----------
    source : str
    found : Overlap
    share, limit : float
        Of the validation part: what is trained on, and what may be.
    copies : int
        Whole documents that are in both.
    """
    if share <= limit:
        return
    of = (
        ""
        if found.documents is None
        else f" ({copies:,} whole documents; {found.documents:,} at least by half)"
    )
    raise ConfigError(
        f"data.source = {source!r}: {share:.0%} of the validation text is in the training text{of};"
        f" allowed is data.options.max_overlap = {limit:g}: give other text for validation, or a"
        " larger max_overlap"
    )


def _stretches(
    tokens: np.ndarray | TokenFile, length: int
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Places of the stretches that are looked at, and a hash of each, uint64; block after block."""
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
    """Odd factors, one a place of a stretch: the same in every process and for every store."""
    generator = np.random.Generator(np.random.Philox(key=length))
    return generator.integers(0, 2**63, size=length, dtype=np.uint64) * np.uint64(2) + np.uint64(1)
