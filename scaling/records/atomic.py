"""Files and folders that are complete or absent: written aside, flushed, and moved into place.

A folder into which others write contains temporary entries that may vanish at any time:
`files_below` and `folders_in` skip them.
"""

from __future__ import annotations

import contextlib
import errno
import os
import shutil
import time
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from scalinglab.scaling.records.damage import Shape, sealed, unsealed

_NO_LINKS = {errno.EPERM, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOSYS, errno.EMLINK}
_TAKEN = {errno.EEXIST, errno.ENOTEMPTY, errno.ENOTDIR}  # what a rename says of a name in use
_LOCK_SECONDS = 30.0
_PROBE_SECONDS = 60.0
_STAMP_SECONDS = 0.05
_offsets: dict[Path, tuple[float, float]] = {}  # folder -> when it was looked up, server - host


def write_atomic(path: Path, content: bytes | str) -> None:
    """Replace the file `path`; a reader sees the old content or the new one, never a mixture."""
    encoded = content.encode() if isinstance(content, str) else content
    save_atomic(path, lambda aside: aside.write_bytes(encoded))


def save_atomic(path: Path, save: Callable[[Path], Any]) -> None:
    """Let `save` write a file beside `path`, then flush it and move it into place.

    Raises
    ------
    OSError
        Also if `path` is a device or a pipe, which would be replaced (by root even ``/dev/null``).
    """
    if path.exists() and not (path.is_file() or path.is_dir()):
        raise OSError(errno.EINVAL, "it is no regular file, and no file takes its place", str(path))
    aside = _aside(path)
    try:
        save(aside)
        _flush(aside)
        os.replace(aside, path)
    finally:
        aside.unlink(missing_ok=True)
    _flush(path.parent)


def create_exclusive(path: Path, content: str) -> bool:
    """Create the complete file `path` unless it exists; True for exactly one of several callers.

    A hard link is the one operation that both creates a complete file and fails if the name is
    taken, also on a network file system. Where the file system has no links, a folder is made.
    """
    aside = _aside(path)
    try:
        aside.write_text(content)
        _flush(aside)
        os.link(aside, path)
    except FileExistsError:
        return False
    except OSError as error:
        if error.errno not in _NO_LINKS:
            raise
        return _create_by_folder(aside, path)
    finally:
        aside.unlink(missing_ok=True)
    _flush(path.parent)
    return True


def _create_by_folder(aside: Path, path: Path) -> bool:
    """Move `aside` to `path` unless another process has; the one that creates a folder may.

    The folder stays. If its creator died before the move, another takes over after a while.
    """
    lock = path.with_name(f".{path.name}.lock")
    try:
        lock.mkdir()
    except FileExistsError:
        abandoned = server_time(path.parent) - lock.stat().st_mtime > _LOCK_SECONDS
        if path.exists() or not abandoned:
            return False
        with contextlib.suppress(OSError):  # exactly one of those that find it abandoned succeeds
            os.rename(lock, lock.with_name(f"{lock.name}.{uuid.uuid4().hex[:8]}"))
            return _create_by_folder(aside, path)
        return False
    if path.exists():
        return False
    os.replace(aside, path)
    _flush(path.parent)
    return True


def create_folder(path: Path, fill: Callable[[Path], Any]) -> bool:
    """Let `fill` fill a folder beside `path`, and move it into place unless one is there.

    True for exactly one of any number of callers; a reader sees its whole folder or none. An empty
    folder in its place is none. Nobody's folder but one's own is ever removed: of a caller that
    was killed a folder stays, whose name begins with a dot.
    """
    aside = _aside(path)
    aside.mkdir()
    try:
        fill(aside)
        return move_folder(aside, path)
    finally:
        shutil.rmtree(aside, ignore_errors=True)


def move_folder(aside: Path, path: Path) -> bool:
    """Flush a folder that is whole, and move it to `path`; False, and it stays, if one is there."""
    for folder, _, names in os.walk(aside):
        for name in names:
            _flush(Path(folder) / name)
        _flush(Path(folder))
    try:
        os.rename(aside, path)
    except OSError as error:
        if error.errno in _TAKEN:
            return False
        raise
    _flush(path.parent)
    return True


def files_below(folder: Path) -> Iterator[Path]:
    """Every file below a folder, except files that vanish, with their folder, during the walk.

    ``Path.rglob`` ends with an error when a folder that it has seen is moved before it looks into
    it, as `create_folder` does.
    """
    for parent, _, names in os.walk(folder):
        yield from (Path(parent) / name for name in names)


def folders_in(folder: Path) -> list[Path]:
    """Folders in a folder, sorted by name, without temporary ones; empty if there is no folder."""
    try:
        entries = [entry for entry in os.scandir(folder) if not entry.name.startswith(".")]
    except FileNotFoundError:
        return []
    return sorted(Path(entry.path) for entry in entries if entry.is_dir())


def server_time(folder: Path) -> float:
    """Now, by the clock that stamps files in `folder`: the file server's, not this host's.

    Hosts of a cluster disagree by seconds or more, so ages of files are taken from this clock. Its
    distance from the host's is looked up with a probe file, once a minute.
    """
    host = time.monotonic()
    offset = _offsets.get(folder)
    if offset is None or host - offset[0] > _PROBE_SECONDS:
        offset = _offsets[folder] = (host, _clock_difference(folder))
    return time.time() + offset[1]


def _clock_difference(folder: Path) -> float:
    probe = folder / f".clock.{uuid.uuid4().hex[:8]}"
    try:
        probe.touch()
        difference = probe.stat().st_mtime - time.time()
        probe.unlink()
    except OSError:  # the folder of another user, in which this one may only read
        return 0.0
    # Time stamps of files are coarser than clocks, so a smaller difference is none.
    return difference if abs(difference) > _STAMP_SECONDS else 0.0


def write_json(path: Path, value: Any) -> None:
    """Write `value` atomically as indented JSON; an object with its checksum."""
    write_atomic(path, sealed(value))


def read_json(path: Path, shape: Shape | None = None) -> Any:
    """Read a JSON file.

    Parameters
    ----------
    shape : mapping, optional
        Keys that the object must have, with their types.

    Raises
    ------
    DamagedFile
        If it is no JSON, does not match its checksum, or has another shape.
    """
    return unsealed(path, path.read_bytes(), shape)


def _aside(path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    return path.with_name(f".{path.name}.{uuid.uuid4().hex[:8]}")


def _flush(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
