"""Text files of a person's own, with bytes as tokens.

The files are read in the order of their paths, in blocks of at most 64 KiB; repeated blocks are
dropped. One block in sixteen, chosen by its hash, is validation: small files stay whole, and a part
of a single large file is held out, too. The files are read twice, first to assign the blocks, so
that only one block is in memory.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np

from scalinglab.scaling.data.files import state_of
from scalinglab.scaling.data.kinds import refuse_binary
from scalinglab.scaling.data.source import SOURCES, Source
from scalinglab.scaling.data.store import Corpus, Pieces
from scalinglab.scaling.errors import ConfigError
from scalinglab.scaling.fields import Within, setting
from scalinglab.scaling.read_options import check_ranges

_BLOCK = 65_536  # bytes
TRAIN, VALIDATION, DROPPED = range(3)  # where a block belongs


@SOURCES.register("text")
@dataclass(frozen=True)
class TextSource(Source):
    """Byte tokens of text files: data.options.path is a file, or a folder with pattern in it."""

    path: str = ""
    pattern: str = "*.txt"  # of the files in a folder and below it
    validation_share: int = setting(16, Within(2))  # one block in this many is validation

    def corpus(self) -> Corpus:
        """Read the files and cut the validation part.

        Raises
        ------
        ConfigError
            If there is no such file or folder, no file matches, or one part would be empty.
        """
        check_ranges(self, "data.options")
        files = self._files()
        for path in files:
            refuse_binary(path)
        before = self.state()
        blocks = _Blocks(files, self.validation_share)
        if not blocks.bytes_of[TRAIN] or not blocks.bytes_of[VALIDATION]:
            raise ConfigError(
                f"data.options.path = {self.path!r} has {blocks.count} blocks of"
                f" text: too few to hold out one in {self.validation_share} for validation"
            )
        if self.state() != before:
            raise ConfigError(
                f"data.options.path = {self.path!r}: files were changed while they "
                "were read; give the command again"
            )
        train, validation = (
            Pieces(np.dtype(np.uint8), blocks.bytes_of[part], partial(blocks.of, part))
            for part in (TRAIN, VALIDATION)
        )
        return Corpus(
            train, validation, vocab=256, bytes_per_token=1.0, facts={"files": len(files)}
        )

    def state(self) -> list[list[str | int]]:
        """Names, sizes and times of the files: if they change, the store is made again."""
        return state_of(self._files())

    def _files(self) -> list[Path]:
        if not self.path:
            raise ConfigError("data.options.path is not set: a text file, or a folder of them")
        root = Path(self.path)
        if not root.exists():
            raise ConfigError(f"data.options.path = {self.path!r}: there is no such file or folder")
        if root.is_file():
            return [root]
        files = [p for p in root.rglob(self.pattern) if p.is_file()]
        if not files:
            raise ConfigError(
                f"data.options.path = {self.path!r}: no file in it or below matches"
                f" data.options.pattern = {self.pattern!r}"
            )
        return sorted(files, key=lambda p: p.as_posix())


class _Blocks:
    """The part of each block of the files; their text is read again when it is written."""

    def __init__(self, files: list[Path], validation_share: int) -> None:
        self._files = files
        self._parts: list[bytes] = []  # of each file, the part of each of its blocks
        self.bytes_of = {TRAIN: 0, VALIDATION: 0}
        self.count = 0
        keys = set()
        for path in files:
            parts = bytearray()
            for block in _blocks(path):
                key = hashlib.sha256(block).digest()
                if key in keys:
                    parts.append(DROPPED)
                    continue
                keys.add(key)
                held_out = int.from_bytes(key[:4], "big") % validation_share == 0
                parts.append(VALIDATION if held_out else TRAIN)
                self.bytes_of[parts[-1]] += len(block)
                self.count += 1
            self._parts.append(bytes(parts))

    def of(self, part: int) -> Iterator[np.ndarray]:
        """The blocks of a part in the order of the files, uint8."""
        for path, block_parts in zip(self._files, self._parts, strict=True):
            with path.open("rb") as file:
                for number, block_part in enumerate(block_parts):
                    if block_part == part:
                        file.seek(number * _BLOCK)
                        yield np.frombuffer(file.read(_BLOCK), dtype=np.uint8)


def _blocks(path: Path) -> Iterator[bytes]:
    with path.open("rb") as file:
        while block := file.read(_BLOCK):
            yield block
