"""Ranks as tiktoken keeps them: a line a token, its bytes in base 64 and its rank.

They are brought to a ``tokenizer.json``, whose merges do what ranks do: of all neighbours the pair
whose token has the lowest rank is joined first.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from scalinglab.scaling.errors import ConfigError
from scalinglab.scaling.extras import needs_extra
from scalinglab.scaling.fields import AT_LEAST_0, setting
from scalinglab.scaling.tokenizers.fast import END_OF_TEXT, FILE, FastEncoder
from scalinglab.scaling.tokenizers.given import file_state, given_file
from scalinglab.scaling.tokenizers.tokenizer import TOKENIZERS, Encoder, Tokenizer

_CONTRACTIONS = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)"
_UPPER, _LOWER = r"[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]", r"[\p{Ll}\p{Lm}\p{Lo}\p{M}]"
# How text is cut into words before pairs are joined, by the names of the vocabularies.
PATTERNS = {
    "gpt2": r"'(?:[sdmt]|ll|ve|re)| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+",
    "cl100k": _CONTRACTIONS + r"|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*"
    r"|\s*[\r\n]+|\s+(?!\S)|\s+",
    "o200k": rf"[^\r\n\p{{L}}\p{{N}}]?{_UPPER}*{_LOWER}+{_CONTRACTIONS}?"
    rf"|[^\r\n\p{{L}}\p{{N}}]?{_UPPER}+{_LOWER}*{_CONTRACTIONS}?"
    r"|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+",
}


@TOKENIZERS.register("tiktoken")
@dataclass(frozen=True)
class TiktokenTokenizer(Tokenizer):
    """Ranks of tiktoken: data.tokenizer.options.path and pattern, how words are cut."""

    path: str = ""  # a .tiktoken file
    pattern: str = setting("cl100k", tuple(PATTERNS))
    separator_id: int | None = setting(None, AT_LEAST_0)  # of the end of documents; None: the next

    def state(self) -> Any:
        """The file."""
        return file_state(given_file(self.path, "*.tiktoken", "a file of ranks"))

    def make(self, folder: Path, texts: Callable[[], Iterator[str]]) -> None:
        """Bring the ranks to a tokenizer.json.

        Raises
        ------
        ConfigError
            If the file is none of its kind.
        """
        path = given_file(self.path, "*.tiktoken", "a file of ranks")
        ranks = read_ranks(path)
        separator = max(ranks.values()) + 1 if self.separator_id is None else self.separator_id
        if separator in set(ranks.values()):
            raise ConfigError(
                f"data.tokenizer.options.separator_id = {separator}: {path} has a token of this "
                "rank"
            )
        with needs_extra("data.tokenizer.name = 'tiktoken'"):
            from tokenizers import Regex, Tokenizer, decoders, models, pre_tokenizers

        letters = byte_letters()
        vocab = {_letters(token, letters): rank for token, rank in ranks.items()}
        # With the special token in the vocabulary it gets the id that it is to have.
        merges = [(_letters(a, letters), _letters(b, letters)) for a, b in pairs_of(ranks)]
        model = models.BPE(vocab | {END_OF_TEXT: separator}, merges, ignore_merges=True)
        tokenizer = Tokenizer(model)
        words = pre_tokenizers.Split(Regex(PATTERNS[self.pattern]), "isolated")
        to_bytes = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
        tokenizer.pre_tokenizer = pre_tokenizers.Sequence([words, to_bytes])
        tokenizer.decoder = decoders.ByteLevel()
        tokenizer.add_special_tokens([END_OF_TEXT])
        tokenizer.save(str(folder / FILE), pretty=False)

    def load(self, folder: Path) -> Encoder:
        """The tokenizer that was made of the ranks."""
        return FastEncoder(folder / FILE)


def read_ranks(path: Path) -> dict[bytes, int]:
    """Token -> rank.

    Raises
    ------
    ConfigError
        If a line is no token and rank, or a byte has no token.
    """
    ranks: dict[bytes, int] = {}
    for number, line in enumerate(path.read_bytes().splitlines(), 1):
        if not line.strip():
            continue
        try:
            token, rank = line.split()
            ranks[base64.b64decode(token, validate=True)] = int(rank)
        except (ValueError, binascii.Error):
            raise ConfigError(
                f"{path}, line {number}: {line[:40]!r} is no token in base 64 and its rank"
            ) from None
    absent = [byte for byte in range(256) if bytes([byte]) not in ranks]
    if absent:
        raise ConfigError(f"{path} has no token for the byte {absent[0]}: each byte needs one")
    if len(set(ranks.values())) < len(ranks):
        raise ConfigError(f"{path} gives one rank to two tokens")
    return ranks


def pairs_of(ranks: dict[bytes, int]) -> list[tuple[bytes, bytes]]:
    """The pairs that give each token, those of the lowest rank first."""
    pairs = []
    for token in sorted(ranks, key=lambda token: ranks[token]):
        halves = ((token[:i], token[i:]) for i in range(1, len(token)))
        pairs_of_token = [(a, b) for a, b in halves if a in ranks and b in ranks]
        pairs += sorted(pairs_of_token, key=lambda pair: (ranks[pair[0]], ranks[pair[1]]))
    return pairs


def byte_letters() -> list[str]:
    """The letter that stands for each byte in a tokenizer.json (GPT-2's table)."""
    shown = [*range(33, 127), *range(161, 173), *range(174, 256)]
    unprintable = (byte for byte in range(256) if byte not in shown)
    letters = {byte: chr(byte) for byte in shown}
    letters |= {byte: chr(256 + i) for i, byte in enumerate(unprintable)}
    return [letters[byte] for byte in range(256)]


def _letters(token: bytes, letters: list[str]) -> str:
    return "".join(letters[byte] for byte in token)
