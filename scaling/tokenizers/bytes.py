"""Bytes of UTF-8 as tokens. The byte 255, which is in no UTF-8 text, ends documents: V = 256."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from scalinglab.scaling.tokenizers.tokenizer import TOKENIZERS, Encoder, Tokenizer

SEPARATOR = 255
# Bytes that UTF-8 never has: overlong forms, and what would lie above U+10FFFF.
_NEVER = (192, 193, *range(245, 256))


@TOKENIZERS.register("bytes")
@dataclass(frozen=True)
class BytesTokenizer(Tokenizer):
    """Bytes of UTF-8, V = 256; documents end with the byte 255."""

    def make(self, folder: Path, texts: Callable[[], Iterator[str]]) -> None:
        """Nothing: there are no files."""

    def load(self, folder: Path) -> Encoder:
        """The same for every corpus."""
        return BytesEncoder()


class BytesEncoder(Encoder):
    """Text to the bytes of its UTF-8."""

    vocab, separator, special = 256, SEPARATOR, _NEVER

    def encode(self, texts: Sequence[str]) -> list[np.ndarray]:
        """A byte a token."""
        return [np.frombuffer(text.encode(), dtype=np.uint8) for text in texts]

    def token_bytes(self) -> np.ndarray:
        """One each."""
        counts = np.ones(self.vocab, dtype=np.int32)
        counts[list(self.special)] = 0
        return counts
