"""Models of SentencePiece, read by their own library."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from scalinglab.scaling.errors import ConfigError
from scalinglab.scaling.extras import needs_extra
from scalinglab.scaling.tokenizers.given import file_state, given_file
from scalinglab.scaling.tokenizers.tokenizer import TOKENIZERS, Encoder, Tokenizer

_FILE = "tokenizer.model"


@TOKENIZERS.register("sentencepiece")
@dataclass(frozen=True)
class SentencePiece(Tokenizer):
    """A model of SentencePiece: data.tokenizer.options.path; its end of sentence ends documents."""

    path: str = ""  # a .model file, or the folder that it is in

    def state(self) -> Any:
        """The file."""
        return file_state(given_file(self.path, "*.model", "a .model file"))

    def make(self, folder: Path, texts: Callable[[], Iterator[str]]) -> None:
        """Copy it, once it can be read."""
        file = given_file(self.path, "*.model", "a .model file")
        SentencePieceEncoder(file)
        (folder / _FILE).write_bytes(file.read_bytes())

    def load(self, folder: Path) -> Encoder:
        """The copy."""
        return SentencePieceEncoder(folder / _FILE)


class SentencePieceEncoder(Encoder):
    """Text to ids by a model of SentencePiece.

    The bytes of a token are not known: the model may change the text first.

    Parameters
    ----------
    path : Path
        Of the model.
    """

    def __init__(self, path: Path) -> None:
        with needs_extra("data.tokenizer.name = 'sentencepiece'"):
            import sentencepiece

        self._model = sentencepiece.SentencePieceProcessor()
        try:
            self._model.LoadFromSerializedProto(path.read_bytes())
        except RuntimeError as error:
            raise ConfigError(f"{path} is no model of SentencePiece: {error}") from error
        self.vocab = self._model.get_piece_size()
        ids = range(self.vocab)
        end = self._model.eos_id()
        self.separator = end if end >= 0 else None
        self.special = tuple(i for i in ids if self._model.is_control(i))
        self.unused = sum(self._model.is_unused(i) for i in ids)

    def encode(self, texts: Sequence[str]) -> list[np.ndarray]:
        """Ids of each text."""
        return [
            np.array(ids, dtype=self.dtype)
            for ids in self._model.encode(list(texts), out_type=int, num_threads=1)
        ]
