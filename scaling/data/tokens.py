"""Tokens that another program made: flat binary files of trainers, and NumPy's files.

They are copied into the store once, in pieces, so that the data of a study cannot change later and
no corpus has to fit into memory.
"""

from __future__ import annotations

import glob
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from scalinglab.scaling.data.files import refuse_shared, state_of
from scalinglab.scaling.data.kinds import refuse_format, refuse_misread
from scalinglab.scaling.data.shards import Shard, check_set, check_stated, ends_of, pieces
from scalinglab.scaling.data.source import SOURCES, Source
from scalinglab.scaling.data.store import Corpus
from scalinglab.scaling.errors import ConfigError
from scalinglab.scaling.fields import AT_LEAST_0, AT_LEAST_1, FRACTION, setting
from scalinglab.scaling.read_options import check_ranges

DTYPES = ("uint8", "uint16", "uint32", "int32", "int64")
_LLMC = {20240520: "uint16", 20240801: "uint32"}  # first number of a header -> dtype
_LLMC_HEADER = 1024  # bytes


@SOURCES.register("tokens")
@dataclass(frozen=True)
class TokensSource(Source):
    """Tokens of .bin or .npy files: data.options.train, .validation, .vocab, .bytes_per_token."""

    train: str = ""  # a file, or a pattern such as shards/train_*.bin: taken in the order of names
    validation: str = ""  # the same; without, the last held_out tokens of the training files
    held_out: int = setting(1_048_576, AT_LEAST_1)
    vocab: int = setting(0, AT_LEAST_0)  # of the tokenizer; it must be given
    bytes_per_token: float = 0.0  # bytes of text that a token stands for, on average
    dtype: str = setting("uint16", DTYPES)  # of .bin files; .npy files say their own
    header_bytes: int = setting(0, AT_LEAST_0)  # at the beginning of each .bin file
    # The token that ends documents; it counts nothing in the loss.
    separator: int | None = setting(None, AT_LEAST_0, historic=None)
    # Share of the validation part that the training part may hold, too.
    max_overlap: float = setting(0.5, FRACTION, historic=0.5)

    def overlap_limit(self) -> float:
        """As the option says."""
        return self.max_overlap

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
        validation_paths = _matching("validation", self.validation) if self.validation else []
        refuse_shared(paths, validation_paths, "data.options.train")
        train = [_shard(path, self) for path in paths]
        total = sum(map(len, train))
        if self.validation:
            validation = [_shard(path, self) for path in validation_paths]
            files = len(train) + len(validation)
            validation_total = sum(map(len, validation))
            parts = (
                pieces(train, 0, total, self.vocab),
                pieces(validation, 0, validation_total, self.vocab),
            )
        else:
            cut = total - self.held_out
            if cut < 1:
                raise ConfigError(
                    f"data.options.held_out = {self.held_out}: the training files "
                    f"have {total} tokens; allowed is 1 to {total - 1}"
                )
            files = len(train)
            parts = (
                pieces(train, 0, cut, self.vocab),
                pieces(train, cut, total, self.vocab),
            )
        documents: dict[str, Any] = {}
        if self.separator is not None:
            documents["excluded"] = (self.separator,)
            documents["ends"] = {
                part: ends_of(tokens, self.separator)
                for part, tokens in zip(("train", "validation"), parts, strict=True)
            }
        return Corpus(
            *parts,
            self.vocab,
            self.bytes_per_token,
            facts={"files": files},
            count_overlap=True,
            **documents,
        )

    def state(self) -> list[list[str | int]]:
        """Names, sizes and times of the files: if they change, the store is made again."""
        self._check()
        paths = _matching("train", self.train)
        if self.validation:
            paths += _matching("validation", self.validation)
        return state_of(paths)

    def _check(self) -> None:
        if not self.train:
            _matching("train", self.train)  # before the options that describe it
        check_set(self.vocab, self.bytes_per_token)
        check_ranges(self, "data.options")
        check_stated(self.bytes_per_token, self.separator, self.vocab)


def _shard(path: Path, source: TokensSource) -> Shard:
    """One file as a memory map, checked by its beginning."""
    hint = " (wrong data.options.dtype or header_bytes?)"
    if path.suffix == ".npy":
        try:
            tokens = np.load(path, mmap_mode="r").reshape(-1)
        except (ValueError, EOFError, OSError) as error:
            raise ConfigError(f"{path} is no array of NumPy: {error}") from error
        if tokens.dtype.kind not in "iu":
            raise ConfigError(f"{path} holds {tokens.dtype}; tokens are whole numbers")
    else:
        if not source.header_bytes:
            refuse_format(path)
        _check_header(path, source)
        size = path.stat().st_size - source.header_bytes
        if size <= 0 or size % np.dtype(source.dtype).itemsize:
            raise ConfigError(
                f"{path} has {path.stat().st_size} bytes: after data.options.header_bytes = "
                f"{source.header_bytes} no whole number of {source.dtype} (data.options.dtype)"
            )
        tokens = np.memmap(path, source.dtype, "r", source.header_bytes)
    refuse_misread(path, tokens, source.vocab)
    return Shard(path, tokens, source.vocab, hint)


def _check_header(path: Path, source: TokensSource) -> None:
    """Compare the options with the dtype and the count in the header of a shard of llm.c."""
    with path.open("rb") as file:
        header = file.read(12)
    magic, _, count = np.frombuffer(header.ljust(12, b"\0"), "<i4").tolist()
    dtype = _LLMC.get(magic)
    if dtype is None or len(header) < 12:
        return
    size = path.stat().st_size - _LLMC_HEADER
    if count < 0 or size != count * np.dtype(dtype).itemsize:
        if source.header_bytes == _LLMC_HEADER:
            raise ConfigError(
                f"{path} says in its header that it has {count:,} tokens, and has {size:,} bytes of"
                f" {dtype}: it was cut off; copy it again"
            )
        return  # the first tokens look like a header
    if (source.header_bytes, source.dtype) != (_LLMC_HEADER, dtype):
        raise ConfigError(
            f"{path} is a shard of llm.c: give data.options.header_bytes={_LLMC_HEADER}"
            f" data.options.dtype={dtype}"
        )


def _matching(key: str, pattern: str) -> list[Path]:
    """The file of that name, or else the files that match the pattern, sorted by name."""
    if not pattern:
        raise ConfigError(
            f"data.options.{key} is not set: a .bin or .npy file of tokens, or a "
            "pattern such as 'shards/train_*.bin'"
        )
    if Path(pattern).is_file():  # the name of a file may look like a pattern: "train [v2].bin"
        return [Path(pattern)]
    files = sorted(Path(p) for p in glob.glob(pattern, recursive=True) if Path(p).is_file())
    if not files:
        is_folder = Path(pattern).is_dir()
        hint = f"it is a folder; give a pattern, {pattern}/*.bin" if is_folder else "no such file"
        raise ConfigError(f"data.options.{key} = {pattern!r}: {hint}")
    return files
