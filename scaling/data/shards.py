"""Files of tokens that somebody else made, checked as they are copied, part after part."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from scalinglab.scaling.data.store import Pieces
from scalinglab.scaling.errors import ConfigError
from scalinglab.scaling.tokenizers.tokenizer import narrowest

_PIECE = 1 << 24  # tokens in memory at once


class Shard:
    """The tokens of one file, not read yet.

    Parameters
    ----------
    path : Path
        For messages.
    tokens : ndarray
        Mapped, one-dimensional.
    vocab : int
        Ids that are allowed: 0 to ``vocab - 1``.
    hint : str
        What may be wrong where an id is not allowed.
    """

    def __init__(self, path: Path, tokens: np.ndarray, vocab: int, hint: str = "") -> None:
        self.path, self._tokens, self._vocab, self._hint = path, tokens, vocab, hint

    def __len__(self) -> int:
        return len(self._tokens)

    def between(self, first: int, last: int) -> Iterator[np.ndarray]:
        """Its tokens from `first` up to `last`, of which some may lie outside it; in parts.

        Raises
        ------
        ConfigError
            If one is not of the vocabulary.
        """
        for start in range(max(first, 0), min(last, len(self)), _PIECE):
            part = self._tokens[start : min(start + _PIECE, last)]
            low, high = int(part.min()), int(part.max())
            if low < 0 or high >= self._vocab:
                raise ConfigError(
                    f"{self.path} has the token {low if low < 0 else high}: data.options.vocab = "
                    f"{self._vocab} allows 0 to {self._vocab - 1}{self._hint}"
                )
            yield part


def check_stated(bytes_per_token: float, separator: int | None, vocab: int) -> None:
    """Refuse what a person states of tokens and cannot be.

    Raises
    ------
    ConfigError
        Naming the option.
    """
    if not bytes_per_token > 0:
        raise ConfigError(
            f"data.options.bytes_per_token = {bytes_per_token}: allowed is above 0; bytes of the text"
            " over its tokens, without which losses of two tokenizers cannot be compared"
        )
    if separator is not None and separator >= vocab:
        raise ConfigError(
            f"data.options.separator = {separator}: data.options.vocab = {vocab} allows 0 to"
            f" {vocab - 1}"
        )


def pieces(shards: Sequence[Shard], first: int, last: int, vocab: int) -> Pieces:
    """Tokens `first` to ``last - 1`` of all shards one after another."""
    narrow = narrowest(vocab)

    def parts() -> Iterator[np.ndarray]:
        start = 0
        for shard in shards:
            for tokens in shard.between(first - start, last - start):
                yield tokens.astype(narrow)
            start += len(shard)

    return Pieces(narrow, last - first, parts)


def ends_of(tokens: Pieces, separator: int) -> np.ndarray:
    """Where documents end that a token closes, int64; the last ends with the tokens."""
    ends: list[np.ndarray] = []
    start = 0
    for part in tokens.parts():
        ends.append(start + 1 + np.flatnonzero(part == separator))
        start += len(part)
    if start and (not ends or not len(ends[-1]) or ends[-1][-1] != start):
        ends.append(np.array([start]))
    return np.concatenate(ends).astype(np.int64)
