"""Scalars of TensorBoard event files, read without TensorBoard.

An event file is a sequence of records: length (8 bytes), its checksum (4), the data, its checksum
(4); checksums are CRC-32C, rotated and shifted. The data is a protocol buffer, of which five fields
matter: Event.wall_time (1, double), Event.step (2, varint), Event.summary (5), Summary.value (1)
with Value.tag (1) and Value.simple_value (2, float) or Value.tensor (8), a scalar in
TensorProto.float_val (5), double_val (6) or tensor_content (4) with dtype (1).
"""

from __future__ import annotations

import struct
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import google_crc32c
import numpy as np
import pandas as pd

from scalinglab.analysis.importers.formats.beside import facts_beside
from scalinglab.analysis.importers.formats.raw import BadRun, Raw
from scalinglab.analysis.importers.formats.registry import Request, files_below, register

_VARINT, _FIXED64, _BYTES, _FIXED32 = 0, 1, 2, 5
_FLOAT, _DOUBLE = 1, 2  # TensorProto.dtype


_MARK = "events.out.tfevents"


@register("TensorBoard events (events.out.tfevents.*)", lambda path: _MARK in path.name)
def read_event_file(path: Path, request: Request) -> list[Raw]:
    """One event file alone."""
    return read_events([path])


@register("TensorBoard events", lambda folder: bool(_event_files(folder)), of_folders=True)
def read_event_folder(folder: Path, request: Request) -> list[Raw]:
    """Event files of a folder and those within it."""
    return read_events(_event_files(folder))


def _event_files(folder: Path) -> list[Path]:
    return [p for p in files_below(folder) if _MARK in p.name]


def read_events(files: list[Path]) -> list[Raw]:
    """One raw table for each folder of event files: its files are attempts at one run.

    Raises
    ------
    UserError
        If a file is damaged before its end, and no folder can be read; a record cut off at the end
        is left out and said, as is a folder that cannot be read among others that can.
    """
    folders: dict[Path, list[Path]] = defaultdict(list)
    for file in files:
        folders[file.absolute().parent].append(file)
    raws, bad = [], []
    for folder, folder_files in folders.items():
        try:
            raws += _of_folder(folder, folder_files)
        except BadRun as error:
            bad.append(str(error))
    if not raws:
        raise BadRun(bad[0] if bad else f"{files[0].parent}: its events hold no scalars")
    notes = tuple(f"left out: {reason}" for reason in bad)
    return [replace(raws[0], notes=(*raws[0].notes, *notes)), *raws[1:]]


def _of_folder(folder: Path, files: list[Path]) -> list[Raw]:
    rows, notes = [], []
    for attempt, file in enumerate(sorted(files, key=lambda p: p.name)):
        try:
            scalars, cut = _scalars(file)
        except (struct.error, IndexError, UnicodeDecodeError, OverflowError):
            raise BadRun(f"{file}: holds a record that is no event of TensorBoard") from None
        rows += [{"attempt": attempt, **row} for row in scalars]
        notes += [f"{file.name} ends within a record: its last one is lost"] if cut else []
    if not rows:
        return []
    # Megatron logs each metric a second time, with the samples seen in the place of the step.
    rows = [row for row in rows if not str(row["tag"]).endswith(" vs samples")] or rows
    table = pd.DataFrame(rows)
    table["value"] = table["value"].where(table["value"].notna(), np.inf)  # logged as "nan"
    table = table.pivot_table(
        index=["attempt", "step"], columns="tag", values="value", aggfunc="last", dropna=False
    )
    table = table.dropna(how="all").reset_index().rename_axis(columns=None)
    return [
        Raw(table, folder.name, 0, facts_beside(folder), tuple(notes), path=folder, one_run=True)
    ]


def _scalars(file: Path) -> tuple[list[dict[str, object]], bool]:
    """Rows ``step, tag, value``, and whether the file ends within a record."""
    file_bytes = file.read_bytes()
    rows: list[dict[str, object]] = []
    for record in _records(file_bytes, file):
        if record is None:
            return rows, True
        step, wall, summary = 0, 0.0, []
        for number, value in _fields(record):
            if number == 1:
                wall = struct.unpack("<d", value)[0]
            elif number == 2:
                step = value
            elif number == 5:
                summary.append(value)
        for content in summary:
            rows += [
                {"step": step, "wall": wall, "tag": tag, "value": value}
                for tag, value in _values(content)
            ]
    return rows, False


def _records(content: bytes, file: Path) -> Iterator[bytes | None]:
    """The data of each record; None for one that the file's end cuts off."""
    at = 0
    while at < len(content):
        if at + 12 > len(content):
            yield None
            return
        (length,) = struct.unpack_from("<Q", content, at)
        (check,) = struct.unpack_from("<I", content, at + 8)
        if _masked(content[at : at + 8]) != check:
            raise BadRun(f"{file}, byte {at}: no record of TensorBoard begins there")
        end = at + 12 + length + 4
        if end > len(content):
            yield None
            return
        record = content[at + 12 : at + 12 + length]
        if _masked(record) != struct.unpack_from("<I", content, end - 4)[0]:
            raise BadRun(f"{file}, byte {at}: the record there is damaged")
        yield record
        at = end


def _fields(message: bytes) -> Iterator[tuple[int, Any]]:
    """(number, value) of each field: whole numbers of varints, bytes of all others."""
    at = 0
    while at < len(message):
        key, at = _varint(message, at)
        kind = key & 7
        if kind == _VARINT:
            value, at = _varint(message, at)
            yield key >> 3, value
            continue
        if kind == _BYTES:
            length, at = _varint(message, at)
        elif kind in (_FIXED64, _FIXED32):
            length = 8 if kind == _FIXED64 else 4
        else:
            raise IndexError(f"TensorBoard event: field {key >> 3} has wire type {kind}")
        yield key >> 3, message[at : at + length]
        at += length


def _varint(message: bytes, at: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        byte = message[at]
        at += 1
        value |= (byte & 127) << shift
        if byte < 128:
            return (value - (1 << 64) if value >> 63 else value), at
        shift += 7


def _values(summary: bytes) -> Iterator[tuple[str, float]]:
    for number, content in _fields(summary):
        if number != 1:
            continue
        tag, value = "", None
        for inner, part in _fields(content):
            if inner == 1:
                tag = part.decode()
            elif inner == 2:
                value = struct.unpack("<f", part)[0]
            elif inner == 8:
                value = _tensor(part)
        if value is not None:
            yield tag, value


def _tensor(content: bytes) -> float | None:
    """The one number of a tensor; None for anything else."""
    dtype, packed = _FLOAT, {}
    for number, part in _fields(content):
        if number == 1:
            dtype = part
        elif number in (4, 5, 6):
            packed[number] = part
    form = {_FLOAT: "<f", _DOUBLE: "<d"}.get(dtype)
    for part in packed.values():
        if form is not None and len(part) == struct.calcsize(form):
            return struct.unpack(form, part)[0]
    return None


def _masked(content: bytes) -> int:
    """CRC-32C as event files keep it."""
    crc = google_crc32c.value(content)
    return ((crc >> 15 | crc << 17) + 0xA282EAD8) & 0xFFFFFFFF
