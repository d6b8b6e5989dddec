"""The Python sources of the running interpreter, bytes as tokens: real text with no download.

Files are taken in the order of their paths, tests left out (distributions often drop them) and
duplicates dropped. One file in sixteen, chosen by its hash, is validation. The corpus changes
with the interpreter's version, so its content hash is part of every run's identity.
"""

from __future__ import annotations

import hashlib
import os
import platform
import sysconfig
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from scalinglab.scaling.data.source import SOURCES, Source
from scalinglab.scaling.data.store import Corpus
from scalinglab.scaling.fields import Within, setting
from scalinglab.scaling.read_options import check_ranges

EXCLUDED = {"test", "tests", "idle_test", "__pycache__", "site-packages", "dist-packages"}


@SOURCES.register("stdlib")
@dataclass(frozen=True)
class StdlibSource(Source):
    """Byte tokens of the standard library's ``.py`` files."""

    validation_share: int = setting(16, Within(2))  # one file in this many is validation

    def corpus(self) -> Corpus:
        """Read the files and cut the validation part."""
        check_ranges(self, "data.options")
        train: list[bytes] = []
        validation: list[tuple[bytes, bytes]] = []
        for text, key in distinct_files(Path(sysconfig.get_path("stdlib"))):
            if int.from_bytes(key[:4], "big") % self.validation_share == 0:
                validation.append((key, text))
            else:
                train.append(text)
        # In the order of the hashes, which says nothing about the content.
        held_out = [text for _, text in sorted(validation)]
        return Corpus(
            train=np.frombuffer(b"".join(train), dtype=np.uint8),
            validation=np.frombuffer(b"".join(held_out), dtype=np.uint8),
            vocab=256,
            bytes_per_token=1.0,
            facts={
                "python": platform.python_version(),
                "train_files": len(train),
                "validation_files": len(validation),
            },
        )


def distinct_files(root: Path) -> Iterator[tuple[bytes, bytes]]:
    """Contents and SHA-256 of the ``.py`` files below `root`, sorted by path, each content once."""
    keys = set()
    for path in sorted(_sources(root), key=lambda p: p.relative_to(root).as_posix()):
        text = path.read_bytes()
        key = hashlib.sha256(text).digest()
        if text and key not in keys:
            keys.add(key)
            yield text, key


def _sources(root: Path) -> Iterator[Path]:
    """The ``.py`` files below `root`; what is excluded may be many times larger and is not read."""
    for folder, below, files in os.walk(root):
        below[:] = [name for name in below if name not in EXCLUDED]
        yield from (Path(folder, name) for name in files if name.endswith(".py"))
