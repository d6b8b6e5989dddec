"""Verification of a store's tokens, whenever it is opened.

The length and a sample are compared each time, all tokens once on each host. The checksums are kept
in the store's folder under the host's name, with size, times and inode of the files: a file that
has changed since is read as a whole again. The sample of a small store is all of it.
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
ENDS = "int64"  # dtype of the ends of documents
_FOUND: Shape = {"content_hash": str, "files": dict, "sums": dict}


@dataclass(frozen=True)
class TokenFile:
    """Tokens on disk that are read one slice at a time.

    Unlike a memory map, whose pages count as memory of the process until the system reclaims them.
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
    verified = _read_cache(cache)
    if (verified.get("content_hash"), verified.get("files")) == (manifest.content_hash, files):
        _check_sample(folder, verified["sums"])
        return
    sums = _check_whole(folder, manifest)
    with contextlib.suppress(OSError):  # without a cache, a read-only store is read each time
        write_json(cache, {"content_hash": manifest.content_hash, "files": files, "sums": sums})


def files_of(manifest: Manifest) -> list[tuple[str, str, int]]:
    """Files of a store in the order of the content hash: name, dtype, count of numbers."""
    tokens = [
        (f"{part}.bin", manifest.dtype, getattr(manifest, f"{part}_tokens")) for part in PARTS
    ]
    ends = [(ends_file(part), ENDS, count) for part, count in sorted(manifest.documents.items())]
    return tokens + ends


def column_files(manifest: Manifest) -> list[tuple[str, str, int]]:
    """The files of a store's columns, in the form of `files_of`."""
    return [
        (column_file(part, entry["file"]), VALUES, manifest.documents.get(part, 0))
        for entry in manifest.columns.values()
        for part in PARTS
    ]


def ends_file(part: str) -> str:
    """The file with the ends of the documents of a part."""
    return f"{part}_ends.bin"


def head(part: str, dtype: Any, tokens: int) -> bytes:
    """The bytes before the tokens of a part in the hashed content."""
    return f"{part} {dtype} {tokens}\n".encode()


def _check_length(path: Path, dtype: str, tokens: int) -> None:
    try:
        size = path.stat().st_size
    except FileNotFoundError:
        raise DamagedFile(path, "it is gone, though manifest.json tells of it") from None
    expected = tokens * np.dtype(dtype).itemsize
    if size != expected:
        content = "ends of documents" if path.stem.endswith("_ends") else "tokens"
        content = "values of a column" if "_column_" in path.stem else content
        raise DamagedFile(
            path, f"it has {size:,} bytes; {tokens:,} {content} of {dtype} have {expected:,}"
        )


def _check_whole(folder: Path, manifest: Manifest) -> dict[str, list[int]]:
    """Compare the hash of all files; returns the CRC-32 of each of their blocks."""
    content, sums = content_of(folder, manifest)
    if content[: len(manifest.content_hash)] != manifest.content_hash:
        raise DamagedFile(
            folder / "train.bin",
            "it or validation.bin beside it does not have the "
            "tokens whose hash is in manifest.json",
        )
    for name, entry in manifest.columns.items():
        if column_hash(folder, entry, PARTS) != entry["hash"]:
            raise DamagedFile(
                folder / column_file(PARTS[0], entry["file"]),
                f"it or the file of the {PARTS[1]} part does not have the values of the column"
                f" {name!r} whose hash is in manifest.json",
            )
    for file, _, _ in column_files(manifest):
        sums[file.removesuffix(".bin")] = [zlib.crc32(b) for b in _blocks(folder / file)]
    return sums


def content_of(folder: Path, manifest: Manifest) -> tuple[str, dict[str, list[int]]]:
    """The content hash of a store, and the CRC-32 of each block of its files."""
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
    """Compare random blocks with their checksums from the complete comparison."""
    for name, block_sums in sums.items():
        path = folder / f"{name}.bin"
        # A new generator, so that those of the training are not advanced.
        sample = random.Random().sample(range(len(block_sums)), min(SAMPLE, len(block_sums)))
        with path.open("rb") as file:
            for number in sorted(sample):
                file.seek(number * BLOCK)
                if zlib.crc32(file.read(BLOCK)) != block_sums[number]:
                    raise DamagedFile(
                        path,
                        f"bytes {number * BLOCK:,} to {(number + 1) * BLOCK:,} "
                        "are not what they were",
                    )


def _blocks(path: Path) -> Iterator[bytes]:
    with path.open("rb") as file:
        while block := file.read(BLOCK):
            yield block


def _read_cache(cache: Path) -> dict[str, Any]:
    try:
        return read_json(cache, _FOUND)
    except (OSError, DamagedFile):
        return {}


def _mark(path: Path) -> list[int]:
    stat = path.stat()
    return [stat.st_size, stat.st_mtime_ns, stat.st_ctime_ns, stat.st_ino]
