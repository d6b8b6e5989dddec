"""Checkpoints of torch as ZIP archives, checked and read without torch and without tensors."""

from __future__ import annotations

import errno
import io
import pickle
import struct
import zipfile
import zlib
from pathlib import Path
from typing import Any

from scalinglab.scaling.records.damage import DamagedFile

# Exceptions of zipfile for bytes that are no archive, or not torch's.
_NO_ARCHIVE = (
    zipfile.BadZipFile,
    zlib.error,
    EOFError,
    RuntimeError,
    ValueError,
    struct.error,
    OSError,
)
# Further ones of a pickle with other content, whose CRC-32 is correct.
_NO_CONTENT = (pickle.UnpicklingError, LookupError, TypeError, AttributeError, OverflowError)


def check_archive(path: Path) -> None:
    """Compare a checkpoint with the CRC-32 of each of its tensors, which torch does not check.

    A checkpoint of torch is a ZIP archive, so those of any age have them. It is read once for
    this, at more than a gigabyte a second, and lies in the page cache when it is loaded.

    Raises
    ------
    DamagedFile
        If a byte has changed since it was written.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            wrong = next((m.filename for m in archive.infolist() if not _is_plain(m)), None)
            wrong = wrong or archive.testzip()
    except FileNotFoundError:
        raise
    except _NO_ARCHIVE as error:
        if isinstance(error, OSError) and error.errno != errno.EINVAL:  # a wrong place to look at
            raise
        raise DamagedFile(path, f"it is no whole archive ({error})") from error
    if wrong is not None:
        raise DamagedFile(path, f"{wrong} does not match its CRC-32")


def plain_content(path: Path) -> dict[str, Any] | None:
    """The plain values of a checkpoint, without its tensors; None if it is gone or unreadable.

    Nothing that its pickle names is imported or run.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            names = [n for n in archive.namelist() if n.endswith("/data.pkl")]
            content = _WithoutTensors(io.BytesIO(archive.read(names[0]))).load()
    except (*_NO_ARCHIVE, *_NO_CONTENT):
        return None
    return content if isinstance(content, dict) else None


def _is_plain(member: zipfile.ZipInfo) -> bool:
    """Whether torch reads exactly the bytes of a member whose CRC-32 zipfile checks."""
    stored = member.compress_type == zipfile.ZIP_STORED
    folder = bool(member.external_attr & 0x10)
    return stored and not folder and member.compress_size == member.file_size


class _Skipped(dict[Any, Any]):
    """Takes the place of a tensor or of its storage."""

    def __init__(self, *_: object) -> None:
        super().__init__()


class _WithoutTensors(pickle.Unpickler):
    """Unpickles plain values; nothing that a pickle names is imported or run."""

    def find_class(self, *_: str) -> Any:
        return _Skipped

    def persistent_load(self, _: object) -> None:
        return None
