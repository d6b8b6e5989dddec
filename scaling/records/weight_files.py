"""Files of safetensors: read without any package, hashed by their tensors, copied by that hash.

    <outputs>/weights/<hash>/*.safetensors

A file is eight bytes with the length of its header, the header (JSON: name -> dtype, shape, place)
and the numbers. The hash is of names, sizes and numbers: equal weights that two programs saved in
another order are equal.
"""

from __future__ import annotations

import hashlib
import json
import math
import os
import shutil
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from scalinglab.scaling.errors import ConfigError
from scalinglab.scaling.records.atomic import create_folder
from scalinglab.scaling.records.damage import DamagedFile
from scalinglab.scaling.records.initial_weights import WEIGHTS, first_of

SUFFIX = ".safetensors"
_LARGEST_HEADER = 100_000_000  # as the format's own reader has it
_AT_ONCE = 64 * 2**20  # bytes
# dtype there -> how numpy reads it; halves of 16 bits with the exponent of float32 as their bits.
DTYPES: dict[str, np.dtype[Any]] = {
    "F64": np.dtype("<f8"),
    "F32": np.dtype("<f4"),
    "F16": np.dtype("<f2"),
    "BF16": np.dtype("<u2"),
    "I64": np.dtype("<i8"),
    "I32": np.dtype("<i4"),
    "I16": np.dtype("<i2"),
    "I8": np.dtype("i1"),
    "U8": np.dtype("u1"),
    "BOOL": np.dtype("u1"),
}
_NOT_OF_A_FILE = "take it from its source again"


@dataclass(frozen=True)
class StoredTensor:
    """Where a tensor lies.

    Attributes
    ----------
    file : Path
    dtype : str
        One of ``DTYPES``.
    size : tuple of int
    start : int
        Byte of the file.
    """

    file: Path
    dtype: str
    size: tuple[int, ...]
    start: int

    def read(self) -> np.ndarray:
        """Its numbers, from the file when they are used; of bfloat16 their bits."""
        kind, count = DTYPES[self.dtype], math.prod(self.size)
        if not count:
            return np.empty(self.size, kind)
        return np.memmap(self.file, kind, "r", self.start, (count,)).reshape(self.size)

    def parts(self) -> Iterator[np.ndarray]:
        """Its numbers in a row, some megabytes at a time."""
        row = self.read().reshape(-1)
        at_once = _AT_ONCE // row.itemsize
        for start in range(0, len(row), at_once):
            yield row[start : start + at_once]

    def is_finite(self) -> bool:
        """Whether all of its numbers are."""
        if self.dtype == "BF16":
            return all(bool(((part & 0x7F80) != 0x7F80).all()) for part in self.parts())
        if not self.dtype.startswith("F"):
            return True
        return all(bool(np.isfinite(part).all()) for part in self.parts())


def weight_files(path: Path, key: str) -> list[Path]:
    """A file of safetensors, or those in a folder.

    Raises
    ------
    ConfigError
        If there are none.
    """
    if not path.exists():
        raise ConfigError(
            f"{key} = {str(path)!r} is not there; name a file or a folder of {SUFFIX}"
        )
    files = [path] if path.is_file() else sorted(path.glob(f"*{SUFFIX}"))
    wrong = [file for file in files if file.suffix != SUFFIX]
    if wrong or not files:
        raise ConfigError(
            f"{key} = {str(path)!r} holds no {SUFFIX}; other files of weights may hold code and "
            "are "
            "not read: save them as safetensors"
        )
    return files


def read_tensors(files: Sequence[Path]) -> dict[str, StoredTensor]:
    """Name -> tensor of some files.

    Raises
    ------
    DamagedFile
        If one is no file of safetensors, or two have a tensor of one name.
    """
    tensors: dict[str, StoredTensor] = {}
    for file in files:
        for name, tensor in _header(file).items():
            if name in tensors:
                first_file = tensors[name].file.name
                raise DamagedFile(file, f"{name} stands in {first_file}, too", _NOT_OF_A_FILE)
            tensors[name] = tensor
    return tensors


def _header(file: Path) -> dict[str, StoredTensor]:
    length = file.stat().st_size
    with file.open("rb") as opened:
        size = int.from_bytes(opened.read(8), "little")
        if length < 8 or size > min(length - 8, _LARGEST_HEADER):
            raise DamagedFile(file, "it is shorter than its header says", _NOT_OF_A_FILE)
        try:
            header = json.loads(opened.read(size))
            entries = {n: e for n, e in header.items() if n != "__metadata__"}
            return {n: _tensor(file, e, 8 + size, length) for n, e in entries.items()}
        except DamagedFile:
            raise
        except (ValueError, TypeError, LookupError, AttributeError, RecursionError) as error:
            raise DamagedFile(file, f"its header is none ({error})", _NOT_OF_A_FILE) from error


def _tensor(file: Path, entry: Mapping[str, Any], data: int, length: int) -> StoredTensor:
    dtype, size = str(entry["dtype"]), tuple(int(n) for n in entry["shape"])
    start, end = (int(n) for n in entry["data_offsets"])
    if dtype not in DTYPES:
        raise DamagedFile(
            file,
            f"it has numbers of the dtype {dtype}; read are {', '.join(DTYPES)}",
            _NOT_OF_A_FILE,
        )
    if (
        min(size, default=0) < 0
        or start < 0
        or end - start != math.prod(size) * DTYPES[dtype].itemsize
    ):
        raise ValueError(f"{end - start} bytes of {dtype} {size}")
    if data + end > length:
        raise DamagedFile(file, "it is shorter than its header says", _NOT_OF_A_FILE)
    return StoredTensor(file, dtype, size, data + start)


def content_hash(tensors: Mapping[str, StoredTensor]) -> str:
    """The hash of names, sizes and numbers."""
    content = hashlib.sha256()
    for name, tensor in sorted(tensors.items()):
        content.update(json.dumps([name, tensor.dtype, tensor.size]).encode())
        for part in tensor.parts():
            content.update(part.tobytes())
    return content.hexdigest()[:32]


def check_finite(tensors: Mapping[str, StoredTensor], where: str) -> None:
    """Raise `ConfigError` if a number is infinite or none."""
    wrong = [name for name, tensor in tensors.items() if not tensor.is_finite()]
    if wrong:
        raise ConfigError(
            f"{where} has numbers that are not finite in {first_of(wrong)}: no run can begin with "
            "them; take an earlier checkpoint of its training"
        )


def keep_copy(files: Sequence[Path], content: str, outputs: Path) -> None:
    """Copy files to where their content is looked for, unless it is there.

    The copy is young then: `scaling gc` leaves it alone until the run that is planned is stored.
    """
    place = outputs / WEIGHTS / content
    if place.is_dir():
        os.utime(place)
        return
    place.parent.mkdir(parents=True, exist_ok=True)

    def fill(aside: Path) -> None:
        for file in files:
            shutil.copyfile(file, aside / file.name)

    create_folder(place, fill)


def read_copy(folder: Path) -> dict[str, StoredTensor]:
    """The tensors of a copy, which are what its name says.

    Raises
    ------
    DamagedFile
        If a byte of it was changed.
    """
    tensors = read_tensors(weight_files(folder, "weights"))
    if content_hash(tensors) != folder.name:
        way_out = "remove it, and launch the study again with the file at its place"
        raise DamagedFile(folder, "its tensors are not those that were copied", way_out)
    return tensors
