"""An encoder that reads ``tokenizer.json``, with the library ``tokenizers`` of Hugging Face."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from scalinglab.scaling.errors import ConfigError
from scalinglab.scaling.extras import needs_extra
from scalinglab.scaling.tokenizers.tokenizer import Encoder

FILE = "tokenizer.json"
END_OF_TEXT = "<|endoftext|>"
# What publishers call the token that ends a document, in this order.
_SEPARATORS = (
    END_OF_TEXT,
    "<|end_of_text|>",
    "</s>",
    "<eos>",
    "<|eos|>",
    "<|endofdocument|>",
    "[SEP]",
)


class FastEncoder(Encoder):
    """Text to ids by a ``tokenizer.json``.

    Special tokens are never read out of the text: a document that holds the letters of one gets
    the ids of its letters.

    Parameters
    ----------
    path : Path
        Of the file.
    separator : str
        The token that ends documents; "": the one that is commonly used so, if there is one.
    """

    def __init__(self, path: Path, separator: str = "") -> None:
        # Imported here, because the library is an extra.
        with needs_extra("a tokenizer of subwords"):
            import tokenizers

        try:
            self._tokenizer = tokenizers.Tokenizer.from_file(str(path))
        except Exception as error:  # the library raises nothing narrower
            raise ConfigError(f"{path} is no tokenizer.json that can be read: {error}") from error
        self._tokenizer.no_truncation()
        self._tokenizer.no_padding()
        self._tokenizer.encode_special_tokens = True
        self._plain = json.loads(self._tokenizer.to_str())
        ids = self._tokenizer.get_vocab(with_added_tokens=True)
        if not ids:
            raise ConfigError(f"{path} has no tokens")
        self.vocab = max(ids.values()) + 1
        self.unused = self.vocab - len(set(ids.values()))  # ids that stand for nothing
        added = self._plain.get("added_tokens") or []
        special = {token["content"]: token["id"] for token in added if token["special"]}
        self.separator = _separator(path, separator, special, ids)
        marked = set(special.values())
        if self.separator is not None:
            marked.add(self.separator)
        self.special = tuple(sorted(marked))

    def encode(self, texts: Sequence[str]) -> list[np.ndarray]:
        """Ids of each text."""
        encodings = self._tokenizer.encode_batch_fast(texts, add_special_tokens=False)
        return [np.array(encoding.ids, dtype=self.dtype) for encoding in encodings]

    def token_bytes(self) -> np.ndarray | None:
        """Known where tokens are strings of bytes, as in GPT-2's and its successors'."""
        if not _is_byte_level(self._plain):
            return None
        counts = np.zeros(self.vocab, dtype=np.int32)
        for token, number in self._tokenizer.get_vocab(with_added_tokens=False).items():
            counts[number] = len(token)  # a letter a byte
        for token in self._plain.get("added_tokens") or []:
            counts[token["id"]] = len(token["content"].encode())
        counts[list(self.special)] = 0
        return counts


def _separator(
    path: Path, separator: str, special: dict[str, int], ids: dict[str, int]
) -> int | None:
    if separator:
        if separator not in ids:
            near = ", ".join(special) or "none"
            raise ConfigError(
                f"data.tokenizer.options.separator = {separator!r}: {path} has no such token; its"
                f" special tokens are: {near}"
            )
        return ids[separator]
    return next((special[name] for name in _SEPARATORS if name in special), None)


def _is_byte_level(plain: dict[str, Any]) -> bool:
    """Whether no text is changed, and each letter of a token is a byte."""
    steps = [plain.get("pre_tokenizer") or {}]
    steps += steps[0].get("pretokenizers", [])
    changes = plain.get("normalizer") is not None
    prefixes = any(step.get("add_prefix_space") for step in steps)
    return not changes and not prefixes and any(step.get("type") == "ByteLevel" for step in steps)
