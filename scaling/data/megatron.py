"""Indexed datasets of Megatron: tokens in a .bin file, sequences and documents in an .idx file."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from scalinglab.scaling.data.files import files_of, refuse_shared, state_of
from scalinglab.scaling.data.shards import Shard, check_set, check_stated, pieces
from scalinglab.scaling.data.source import SOURCES, Source
from scalinglab.scaling.data.store import Corpus
from scalinglab.scaling.errors import ConfigError
from scalinglab.scaling.fields import AT_LEAST_0, AT_LEAST_1, FRACTION, setting
from scalinglab.scaling.read_options import check_ranges

_MAGIC, _OLD = b"MMIDIDX\x00\x00", b"TNTIDX\x00\x00"
_HEADER = 9 + 8 + 1 + 8 + 8  # magic, version, dtype, sequences, documents
_DTYPES = {1: "<u1", 2: "<i1", 3: "<i2", 4: "<i4", 5: "<i8", 8: "<u2"}


@SOURCES.register("megatron")
@dataclass(frozen=True)
class Megatron(Source):
    """Tokens of Megatron's .bin and .idx: data.options.path, .vocab, .bytes_per_token."""

    path: str = ""  # without suffix or with .bin; a folder, or a pattern: in the order of names
    validation: str = ""  # the same; without, the last held_out documents of the training files
    held_out: int = setting(1_000, AT_LEAST_1)  # documents
    vocab: int = setting(0, AT_LEAST_0)  # of the tokenizer; it must be given
    bytes_per_token: float = 0.0  # bytes of text that a token stands for, on average
    separator: int | None = setting(None, AT_LEAST_0)  # the token that ends documents, if one does
    max_overlap: float = setting(0.5, FRACTION)  # share of validation that training may hold

    def overlap_limit(self) -> float:
        """As the option says."""
        return self.max_overlap

    def corpus(self) -> Corpus:
        """Look at the files; their tokens are checked as they are copied.

        Raises
        ------
        ConfigError
            If an option is missing or impossible, a file is none of its kind, or a token is not of
            the vocabulary.
        """
        self._check()
        paths, validation_paths = self._files("path"), self._files("validation")
        refuse_shared(paths, validation_paths, "data.options.path")
        train = [_Indexed(path, self.vocab) for path in paths]
        ends = _joined(train)
        if validation_paths:
            validation = [_Indexed(path, self.vocab) for path in validation_paths]
            validation_ends = _joined(validation)
        else:
            validation = train
            if len(ends) <= self.held_out:
                raise ConfigError(
                    f"data.options.held_out = {self.held_out}: there are {len(ends):,} documents;"
                    f" allowed is 1 to {len(ends) - 1}"
                )
            ends, validation_ends = ends[: -self.held_out], ends[-self.held_out :]
        start = 0 if validation_paths else int(ends[-1])
        return Corpus(
            pieces([f.shard for f in train], 0, int(ends[-1]), self.vocab),
            pieces([f.shard for f in validation], start, int(validation_ends[-1]), self.vocab),
            self.vocab,
            self.bytes_per_token,
            facts={"files": len(set(paths) | set(validation_paths))},
            ends={"train": ends, "validation": validation_ends - start},
            excluded=() if self.separator is None else (self.separator,),
            count_overlap=True,
        )

    def state(self) -> list[list[str | int]]:
        """Names, sizes and times of the files: if they change, the store is made again."""
        self._check()
        paths = [*self._files("path"), *self._files("validation")]
        return state_of([file for path in paths for file in (path, path.with_suffix(".idx"))])

    def _check(self) -> None:
        if not self.path:
            self._files("path")  # before the options that describe it
        check_set(self.vocab, self.bytes_per_token)
        check_ranges(self, "data.options")
        check_stated(self.bytes_per_token, self.separator, self.vocab)

    def _files(self, key: str) -> list[Path]:
        """The .bin files that an option names, each with its .idx."""
        name = getattr(self, key)
        if key == "validation" and not name:
            return []
        if name and Path(f"{name}.bin").is_file():
            name += ".bin"
        paths = files_of(f"data.options.{key}", name, "*.bin", "Megatron, .bin and .idx")
        files = sorted({p.with_suffix(".bin") for p in paths})
        for path in files:
            for file in (path, path.with_suffix(".idx")):
                if not file.is_file():
                    raise ConfigError(
                        f"{file} is missing: tokens of Megatron are a .bin and a .idx of one name"
                    )
        return files


class _Indexed:
    """A pair of files: the tokens, and the ends of documents in them."""

    def __init__(self, path: Path, vocab: int) -> None:
        index = path.with_suffix(".idx")
        content = np.memmap(index, np.uint8, "r") if index.stat().st_size else np.zeros(0, np.uint8)
        magic = bytes(content[: len(_MAGIC)])
        if magic[: len(_OLD)] == _OLD:
            raise ConfigError(
                f"{index} is an index of Megatron's old kind: make it anew with its"
                " tools/preprocess_data.py"
            )
        if magic != _MAGIC or len(content) < _HEADER:
            raise ConfigError(f"{index} is no index of Megatron: it does not begin as one does")
        code = int(content[17])
        if code not in _DTYPES:
            raise ConfigError(f"{index}: tokens of its dtype (code {code}) are no whole numbers")
        sequences, bounds = (int(n) for n in np.frombuffer(bytes(content[18:_HEADER]), "<i8"))
        if len(content) != _HEADER + 12 * sequences + 8 * bounds:
            raise ConfigError(
                f"{index} has {len(content):,} bytes; {sequences:,} sequences and {bounds:,} bounds"
                " of documents have others: it was cut off; copy it again"
            )
        lengths = np.frombuffer(content, "<i4", sequences, _HEADER)
        places = np.frombuffer(content, "<i8", sequences, _HEADER + 4 * sequences)
        documents = np.frombuffer(content, "<i8", bounds, _HEADER + 12 * sequences)
        tokens = np.memmap(path, _DTYPES[code], "r") if path.stat().st_size else np.zeros(0, "<i4")
        sums = np.concatenate([[0], np.cumsum(lengths, dtype=np.int64)])
        if sums[-1] != len(tokens) or not np.array_equal(places, sums[:-1] * tokens.itemsize):
            raise ConfigError(
                f"{path} has {len(tokens):,} tokens; {index} tells of {int(sums[-1]):,}, one"
                " sequence after another: they do not belong together, or one was cut off"
            )
        inside = documents[(documents > 0) & (documents <= sequences)]
        ends = sums[np.union1d(inside, [sequences])]
        self.ends = np.unique(ends[ends > 0])
        self.shard = Shard(path, tokens, vocab)


def _joined(files: list[_Indexed]) -> np.ndarray:
    """The ends of the documents of all files, one file after another."""
    starts = np.cumsum([0, *(len(file.shard) for file in files)])
    return np.concatenate([start + f.ends for start, f in zip(starts, files, strict=False)])
