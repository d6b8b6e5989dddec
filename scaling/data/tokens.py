"""Tokens that somebody else made: flat binary files as trainers keep them, and NumPy's.

They are copied into the store once, part by part, so what a study was trained on stays as it was
and no corpus has to fit into memory.
"""

from __future__ import annotations

import filecmp
import glob
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from scalinglab.scaling.data.kinds import refuse_format, refuse_misread
from scalinglab.scaling.data.source import SOURCES, Source
from scalinglab.scaling.data.store import Corpus, Pieces
from scalinglab.scaling.fields import (
    AT_LEAST_0,
    AT_LEAST_1,
    ConfigError,
    Within,
    check_ranges,
    setting,
)

DTYPES = ("uint8", "uint16", "uint32", "int32", "int64")
_PIECE = 1 << 24  # tokens in memory at once


@SOURCES.register("tokens")
@dataclass(frozen=True)
class TokensSource(Source):
    """Tokens of .bin or .npy files: data.options.train, .validation, .vocab, .bytes_per_token."""

    train: str = ""  # a file, or a pattern such as shards/train_*.bin: taken in the order of names
    validation: str = ""  # the same; without, the last held_out tokens of the training files
    held_out: int = setting(1_048_576, AT_LEAST_1)
    vocab: int = setting(0, Within(2))  # of the tokenizer; it must be given
    bytes_per_token: float = 0.0  # bytes of text that a token stands for, on average
    dtype: str = setting("uint16", DTYPES)  # of .bin files; .npy files say their own
    header_bytes: int = setting(0, AT_LEAST_0)  # at the beginning of each .bin file

    def corpus(self) -> Corpus:
        """Look at the files; their tokens are checked as they are copied.

        Raises
        ------
        ConfigError
            If an option is missing or impossible, no file matches, a file is in both parts, by its
            place or its content, a file holds no whole number of tokens, or, later, a token that is
            not in the vocabulary.
        """
        self._check()
        paths = _matching("train", self.train)
        others = _matching("validation", self.validation) if self.validation else []
        _refuse_shared(paths, others)
        train = [_File(path, self) for path in paths]
        total = sum(map(len, train))
        if self.validation:
            held_out = [_File(path, self) for path in others]
            files = len(train) + len(held_out)
            last = sum(map(len, held_out))
            parts = self._pieces(train, 0, total), self._pieces(held_out, 0, last)
        else:
            cut = total - self.held_out
            if cut < 1:
                raise ConfigError(
                    f"data.options.held_out = {self.held_out}: the training files "
                    f"have {total} tokens; allowed is 1 to {total - 1}"
                )
            files = len(train)
            parts = self._pieces(train, 0, cut), self._pieces(train, cut, total)
        return Corpus(*parts, self.vocab, self.bytes_per_token, facts={"files": files})

    def state(self) -> list[list[str | int]]:
        """What changes when the files do: a store is made again then."""
        self._check()
        paths = _matching("train", self.train)
        if self.validation:
            paths += _matching("validation", self.validation)
        return [[str(p), p.stat().st_size, p.stat().st_mtime_ns] for p in paths]

    def _check(self) -> None:
        check_ranges(self, "data.options")
        if not self.bytes_per_token > 0:
            raise ConfigError(
                f"data.options.bytes_per_token = {self.bytes_per_token}: allowed is above 0; bytes "
                "of the text over its tokens, without which losses of two tokenizers cannot be "
                "compared"
            )

    def _pieces(self, files: Sequence[_File], first: int, last: int) -> Pieces:
        """Tokens `first` to `last` - 1 of all files one after another."""
        narrow = next(d for d in ("uint8", "uint16", "int32") if self.vocab - 1 <= np.iinfo(d).max)

        def parts() -> Iterator[np.ndarray]:
            start = 0
            for file in files:
                for tokens in file.between(first - start, last - start):
                    yield tokens.astype(narrow)
                start += len(file)

        return Pieces(np.dtype(narrow), last - first, parts)


class _File:
    """One file, looked at without reading it."""

    def __init__(self, path: Path, source: TokensSource) -> None:
        self.path, self.vocab = path, source.vocab
        if path.suffix == ".npy":
            try:
                self._tokens = np.load(path, mmap_mode="r").reshape(-1)
            except (ValueError, EOFError, OSError) as error:
                raise ConfigError(f"{path} is no array of NumPy: {error}") from error
            if self._tokens.dtype.kind not in "iu":
                raise ConfigError(f"{path} holds {self._tokens.dtype}; tokens are whole numbers")
            refuse_misread(path, self._tokens, source.vocab)
            return
        if not source.header_bytes:
            refuse_format(path)
        item = np.dtype(source.dtype).itemsize
        size = path.stat().st_size - source.header_bytes
        if size <= 0 or size % item:
            raise ConfigError(
                f"{path} has {path.stat().st_size} bytes: after data.options.header_bytes = "
                f"{source.header_bytes} no whole number of {source.dtype} (data.options.dtype)"
            )
        self._tokens = np.memmap(path, source.dtype, "r", source.header_bytes)
        refuse_misread(path, self._tokens, source.vocab)

    def __len__(self) -> int:
        return len(self._tokens)

    def between(self, first: int, last: int) -> Iterator[np.ndarray]:
        """Its tokens from `first` up to `last`, of which some may lie outside it; in parts."""
        for start in range(max(first, 0), min(last, len(self)), _PIECE):
            part = self._tokens[start : min(start + _PIECE, last)]
            low, high = int(part.min()), int(part.max())
            if low < 0 or high >= self.vocab:
                raise ConfigError(
                    f"{self.path} has the token {low if low < 0 else high}: data.options.vocab = "
                    f"{self.vocab} allows 0 to {self.vocab - 1} (wrong data.options.dtype or "
                    "header_bytes?)"
                )
            yield part


def _matching(key: str, pattern: str) -> list[Path]:
    """The file of that name, else the files of a pattern by name."""
    if not pattern:
        raise ConfigError(
            f"data.options.{key} is not set: a .bin or .npy file of tokens, or a "
            "pattern such as 'shards/train_*.bin'"
        )
    if Path(pattern).is_file():  # a name may hold what a pattern is made of: "train [v2].bin"
        return [Path(pattern)]
    found = sorted(Path(p) for p in glob.glob(pattern, recursive=True) if Path(p).is_file())
    if not found:
        raise ConfigError(f"data.options.{key} = {pattern!r}: no such file")
    return found


def _refuse_shared(train: Sequence[Path], validation: Sequence[Path]) -> None:
    """A file that is trained on measures nothing: by whatever name, link or copy it comes twice."""
    of_size: dict[int, list[Path]] = {}
    for path in train:
        of_size.setdefault(path.stat().st_size, []).append(path)
    for held_out in validation:
        for path in of_size.get(held_out.stat().st_size, []):
            if path.samefile(held_out) or filecmp.cmp(path, held_out, shallow=False):
                copy = "" if path.samefile(held_out) else f", as a copy of {path}"
                raise ConfigError(
                    f"{held_out} is in both parts{copy}: its tokens would be trained on and "
                    "validated on; give data.options.train a pattern that leaves it out"
                )
