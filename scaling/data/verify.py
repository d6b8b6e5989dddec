"""Whether the tokens of a store are those that were written: looked at whenever it is opened.

Their length and a sample are compared each time, all of them once a host: what was found is kept in
the store's folder under the host's name, with size, times and inode of the files, so that a file
that was touched since is read whole again. A small store is its own sample.
"""

from __future__ import annotations

import contextlib
import hashlib
import random
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from scalinglab.scaling.data.columns import VALUES, column_file, column_hash
from scalinglab.scaling.data.manifest import PARTS, Manifest
from scalinglab.scaling.records import machine
from scalinglab.scaling.records.atomic import read_json, write_json
from scalinglab.scaling.records.damage import DamagedFile, Shape

BLOCK = 4 << 20  # bytes
SAMPLE = 8  # blocks of each part that are compared at every opening
ENDS = "int64"  # of where documents end
_FOUND: Shape = {"content_hash": str, "files": dict, "sums": dict}


@dataclass(frozen=True)
class TokenFile:
    """Tokens on disk of which a stretch at a time is read.

    A memory map would do as well, but for what is counted as memory: each page that was looked at
    stays the process's own until the system wants it back.
    """

    path: Path
    dtype: np.dtype

    def __len__(self) -> int:
        return self.path.stat().st_size // self.dtype.itemsize

    def __getitem__(self, stretch: slice) -> np.ndarray:
        start, stop, _ = stretch.indices(len(self))
        return np.fromfile(
            self.path, self.dtype, max(0, stop - start), offset=start * self.dtype.itemsize
        )


def check_tokens(folder: Path, manifest: Manifest) -> None:
    """Compare the tokens of a store with what its manifest says of them.

    Raises
    ------
    DamagedFile
        If a file is gone, has another length, or holds other tokens.
    """
    every = [*files_of(manifest), *column_files(manifest)]
    for file, dtype, count in every:
        _check_length(folder / file, dtype, count)
    cache = folder / f"verified-{machine.host()}.json"
    files = {file.removesuffix(".bin"): _mark(folder / file) for file, _, _ in every}
    known = _known(cache)
    if (known.get("content_hash"), known.get("files")) == (manifest.content_hash, files):
        _check_sample(folder, known["sums"])
        return
    sums = _check_whole(folder, manifest)
    with contextlib.suppress(OSError):  # a store that we may only read is read whole each time
        write_json(cache, {"content_hash": manifest.content_hash, "files": files, "sums": sums})


def files_of(manifest: Manifest) -> list[tuple[str, str, int]]:
    """Files of a store in the order in which they are hashed: name, dtype, how many numbers."""
    tokens = [
        (f"{part}.bin", manifest.dtype, getattr(manifest, f"{part}_tokens")) for part in PARTS
    ]
    ends = [(ends_file(part), ENDS, count) for part, count in sorted(manifest.documents.items())]
    return tokens + ends


def column_files(manifest: Manifest) -> list[tuple[str, str, int]]:
    """The files of the columns that a store keeps, as `files_of`."""
    return [
        (column_file(part, about["file"]), VALUES, manifest.documents.get(part, 0))
        for about in manifest.columns.values()
        for part in PARTS
    ]


def ends_file(part: str) -> str:
    """The file of where the documents of a part end."""
    return f"{part}_ends.bin"


def head(part: str, dtype: Any, tokens: int) -> bytes:
    """What stands before the tokens of a part in the content that is hashed."""
    return f"{part} {dtype} {tokens}\n".encode()


def _check_length(path: Path, dtype: str, tokens: int) -> None:
    try:
        size = path.stat().st_size
    except FileNotFoundError:
        raise DamagedFile(path, "it is gone, though manifest.json tells of it") from None
    wanted = tokens * np.dtype(dtype).itemsize
    if size != wanted:
        what = "ends of documents" if path.stem.endswith("_ends") else "tokens"
        what = "values of a column" if "_column_" in path.stem else what
        raise DamagedFile(
            path, f"it has {size:,} bytes; {tokens:,} {what} of {dtype} have {wanted:,}"
        )


def _check_whole(folder: Path, manifest: Manifest) -> dict[str, list[int]]:
    """Compare the hash of all that is stored; the CRC-32 of each block of it."""
    content, sums = content_of(folder, manifest)
    if content[: len(manifest.content_hash)] != manifest.content_hash:
        raise DamagedFile(
            folder / "train.bin",
            "it or validation.bin beside it does not have the "
            "tokens whose hash is in manifest.json",
        )
    for name, about in manifest.columns.items():
        if column_hash(folder, about, PARTS) != about["hash"]:
            raise DamagedFile(
                folder / column_file(PARTS[0], about["file"]),
                f"it or the file of the {PARTS[1]} part does not have the values of the column"
                f" {name!r} whose hash is in manifest.json",
            )
    for file, _, _ in column_files(manifest):
        sums[file.removesuffix(".bin")] = [zlib.crc32(b) for b in _blocks(folder / file)]
    return sums


def content_of(folder: Path, manifest: Manifest) -> tuple[str, dict[str, list[int]]]:
    """The hash of what a store holds, and the CRC-32 of each block of its files."""
    content = hashlib.sha256()
    sums: dict[str, list[int]] = {}
    for file, dtype, count in files_of(manifest):
        name = file.removesuffix(".bin")
        content.update(head(name, dtype, count))
        sums[name] = []
        for block in _blocks(folder / file):
            content.update(block)
            sums[name].append(zlib.crc32(block))
    if manifest.excluded:
        content.update(f"excluded {sorted(manifest.excluded)}\n".encode())
    return content.hexdigest(), sums


def _check_sample(folder: Path, sums: dict[str, list[int]]) -> None:
    """Compare some blocks with what they were when all was compared."""
    for part, known in sums.items():
        path = folder / f"{part}.bin"
        # A generator of its own: those of the training are left as they are.
        chosen = random.Random().sample(range(len(known)), min(SAMPLE, len(known)))
        with path.open("rb") as file:
            for number in sorted(chosen):
                file.seek(number * BLOCK)
                if zlib.crc32(file.read(BLOCK)) != known[number]:
                    raise DamagedFile(
                        path,
                        f"bytes {number * BLOCK:,} to {(number + 1) * BLOCK:,} "
                        "are not what they were",
                    )


def _blocks(path: Path) -> Iterator[bytes]:
    with path.open("rb") as file:
        while block := file.read(BLOCK):
            yield block


def _known(cache: Path) -> dict[str, Any]:
    try:
        return read_json(cache, _FOUND)
    except (OSError, DamagedFile):
        return {}


def _mark(path: Path) -> list[int]:
    stat = path.stat()
    return [stat.st_size, stat.st_mtime_ns, stat.st_ctime_ns, stat.st_ino]
