"""A ``tokenizer.json`` of Hugging Face, of a publisher or of one's own."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from scalinglab.scaling.tokenizers.fast import FILE, FastEncoder
from scalinglab.scaling.tokenizers.given import file_state, given_file
from scalinglab.scaling.tokenizers.tokenizer import TOKENIZERS, Encoder, Tokenizer


@TOKENIZERS.register("hf")
@dataclass(frozen=True)
class HuggingFaceTokenizer(Tokenizer):
    """A tokenizer.json: data.tokenizer.options.path."""

    path: str = ""  # the file, or the folder that it is in
    separator: str = (
        ""  # the token that ends documents; "": <|endoftext|>, </s> or another known one
    )

    def state(self) -> Any:
        """The file."""
        return file_state(given_file(self.path, FILE, "tokenizer.json"))

    def make(self, folder: Path, texts: Callable[[], Iterator[str]]) -> None:
        """Copy it, once it can be read."""
        file = given_file(self.path, FILE, "tokenizer.json")
        FastEncoder(file, self.separator)
        (folder / FILE).write_bytes(file.read_bytes())

    def load(self, folder: Path) -> Encoder:
        """The copy."""
        return FastEncoder(folder / FILE, self.separator)
