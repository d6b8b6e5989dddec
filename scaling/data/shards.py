"""Files of tokens that another program made; tokens are checked while they are copied."""

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
        The file, for messages.
    tokens : ndarray
        The memory map, one-dimensional.
    vocab : int
        Allowed ids are 0 to ``vocab - 1``.
    hint : str
        The probable cause of an id that is not allowed, for the message.
    """

    def __init__(self, path: Path, tokens: np.ndarray, vocab: int, hint: str = "") -> None:
        self.path, self._tokens, self._vocab, self._hint = path, tokens, vocab, hint

    def __len__(self) -> int:
        return len(self._tokens)

    def between(self, first: int, last: int) -> Iterator[np.ndarray]:
        """The tokens from `first` up to `last`, as far as the file has them, in several arrays.

        Raises
        ------
        ConfigError
            If a token is not in the vocabulary.
        """
        for start in range(max(first, 0), min(last, len(self)), _PIECE):
            tokens = self._tokens[start : min(start + _PIECE, last)]
            low, high = int(tokens.min()), int(tokens.max())
            if low < 0 or high >= self._vocab:
                raise ConfigError(
                    f"{self.path} has the token {low if low < 0 else high}: data.options.vocab = "
                    f"{self._vocab} allows 0 to {self._vocab - 1}{self._hint}"
                )
            yield tokens


def check_set(vocab: int, bytes_per_token: float) -> None:
    """Refuse tokens of which nobody said what they are.

    Raises
    ------
    ConfigError
        Naming the option.
    """
    if not vocab:
        raise ConfigError(
            "data.options.vocab is not set: the number of ids of the tokenizer that made the"
            " tokens (GPT-2: 50257)"
        )
    if vocab < 2:
        raise ConfigError(f"data.options.vocab = {vocab}: allowed is 2 or more")
    if not bytes_per_token:
        raise ConfigError(
            "data.options.bytes_per_token is not set: bytes of the text over its tokens (English"
            " text with the tokenizer of GPT-2: about 4.5), from which bits per byte are computed"
        )


def check_stated(bytes_per_token: float, separator: int | None, vocab: int) -> None:
    """Refuse impossible values of options that describe tokens.

    Raises
    ------
    ConfigError
        Naming the option.
    """
    if not bytes_per_token > 0:
        raise ConfigError(
            f"data.options.bytes_per_token = {bytes_per_token}: allowed is above 0; bytes of the"
            " text over its tokens, without which losses of two tokenizers cannot be compared"
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
    """The ends of documents, int64: after each separator, and at the end of all tokens."""
    ends: list[np.ndarray] = []
    start = 0
    for array in tokens.parts():
        ends.append(start + 1 + np.flatnonzero(array == separator))
        start += len(array)
    if start and (not ends or not len(ends[-1]) or ends[-1][-1] != start):
        ends.append(np.array([start]))
    return np.concatenate(ends).astype(np.int64)
