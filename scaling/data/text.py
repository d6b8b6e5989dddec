"""Text files of one's own, bytes as tokens.

The files are read in the order of their paths, in blocks of 64 KiB at most; a block that was there
before is dropped. One block in sixteen, chosen by its hash, is validation: small files stay whole,
and of one large file a part is held out, too.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from scaling.config import ConfigError
from scaling.data.store import Corpus

_BLOCK = 65_536  # bytes


@dataclass(frozen=True)
class TextSource:
    """Byte tokens of text files: data.options.path is a file, or a folder with pattern in it."""

    path: str = ""
    pattern: str = "*.txt"  # of the files in a folder and below it
    validation_share: int = 16  # one block in this many is validation

    def corpus(self) -> Corpus:
        """Read the files and cut the validation part.

        Raises
        ------
        ConfigError
            If there is no such file or folder, no file matches, or one part would be empty.
        """
        if self.validation_share < 2:
            raise ConfigError(
                f"data.options.validation_share = {self.validation_share}: allowed is 2 or more"
            )
        parts: tuple[list[bytes], list[bytes]] = ([], [])
        files = self._files()
        for block, key in _distinct_blocks(files):
            parts[int.from_bytes(key[:4], "big") % self.validation_share == 0].append(block)
        train, validation = (np.frombuffer(b"".join(part), dtype=np.uint8) for part in parts)
        if not len(train) or not len(validation):
            raise ConfigError(
                f"data.options.path = {self.path!r} has {len(parts[0]) + len(parts[1])} blocks of"
                f" text: too few to hold out one in {self.validation_share} for validation"
            )
        return Corpus(train, validation, vocab=256, bytes_per_token=1.0,
                      facts={"files": len(files)})  # fmt: skip

    def state(self) -> list[list[str | int]]:
        """What changes when the files do: a store is made again then."""
        facts = ((str(path), path.stat()) for path in self._files())
        return [[name, stat.st_size, stat.st_mtime_ns] for name, stat in facts]

    def _files(self) -> list[Path]:
        if not self.path:
            raise ConfigError("data.options.path is not set: a text file, or a folder of them")
        root = Path(self.path)
        found = [root] if root.is_file() else sorted(
            (p for p in root.rglob(self.pattern) if p.is_file()), key=lambda p: p.as_posix())
        if not root.exists():
            raise ConfigError(f"data.options.path = {self.path!r}: there is no such file or folder")
        if not found:
            raise ConfigError(f"data.options.path = {self.path!r}: no file in it or below matches"
                              f" data.options.pattern = {self.pattern!r}")
        return found


def _distinct_blocks(files: list[Path]) -> Iterator[tuple[bytes, bytes]]:
    """Blocks of the files with their SHA-256, each content once."""
    seen = set()
    for path in files:
        with path.open("rb") as file:
            while block := file.read(_BLOCK):
                key = hashlib.sha256(block).digest()
                if key not in seen:
                    seen.add(key)
                    yield block, key
