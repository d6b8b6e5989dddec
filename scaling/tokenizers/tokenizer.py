"""The description that every tokenizer gives, and the artefact that encodes text.

To add one, write a file here with a class of its options; it registers by name.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from scalinglab.scaling.registry import Registry, subclass_of

DTYPES = ("uint8", "uint16", "int32")  # of tokens, as narrow as the vocabulary allows


class Encoder(ABC):
    """A tokenizer that is ready for text.

    Attributes
    ----------
    vocab : int
        Ids are 0 to ``vocab - 1``: what a model has an embedding for.
    separator : int or None
        The id that ends each document. No text gives it.
    special : tuple of int
        All ids that no text gives: the separator among them.
    unused : int
        Ids below ``vocab`` that stand for nothing, as where a publisher pads a vocabulary.
    """

    unused: int = 0
    vocab: int
    separator: int | None
    special: tuple[int, ...]

    @abstractmethod
    def encode(self, texts: Sequence[str]) -> list[np.ndarray]:
        """The ids of each text, one-dimensional, without separators."""

    def token_bytes(self) -> np.ndarray | None:
        """Bytes of text that each id stands for, int32 (vocab,), 0 of special ones.

        None where the bytes of a text are not the sum of those of its tokens, as with a tokenizer
        that changes the text first.
        """
        return None

    @property
    def dtype(self) -> np.dtype:
        """The narrowest type that holds all ids."""
        return narrowest(self.vocab)


def narrowest(vocab: int) -> np.dtype:
    """The narrowest type of tokens that holds the ids of a vocabulary."""
    return np.dtype(next(d for d in DTYPES if vocab - 1 <= np.iinfo(d).max))


@dataclass(frozen=True)
class Tokenizer(ABC):
    """The options of a tokenizer: how its artefact is made, and read back."""

    trained: ClassVar[bool] = False  # on the training text of the corpus that it is made for

    @property
    def sample(self) -> int:
        """Bytes of text that it is trained on, if it is."""
        return 0

    def state(self) -> Any:
        """The content of files that the options name; None if they name none."""
        return None

    @abstractmethod
    def make(self, folder: Path, texts: Callable[[], Iterator[str]]) -> None:
        """Write the files of the artefact into an empty folder.

        Parameters
        ----------
        folder : Path
        texts : callable
            Gives the training text that a tokenizer may be trained on, document after document.

        Raises
        ------
        ConfigError
            If an option is out of its range, or a file is none of its kind.
        """

    @abstractmethod
    def load(self, folder: Path) -> Encoder:
        """The encoder of an artefact that ``make`` wrote."""


TOKENIZERS: Registry[type[Tokenizer]] = Registry("data.tokenizer.name", __package__)
TOKENIZERS.wants(subclass_of(Tokenizer))
