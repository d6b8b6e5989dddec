"""Files that are either whole or absent: write aside, flush to disk, rename or link into place."""

from __future__ import annotations

import json
import os
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Any


def write_atomic(path: Path, content: bytes | str) -> None:
    """Replace `path` by `content`; a reader sees the old file or the new one, never a part."""
    data = content.encode() if isinstance(content, str) else content
    save_atomic(path, lambda aside: aside.write_bytes(data))


def save_atomic(path: Path, save: Callable[[Path], Any]) -> None:
    """Let `save` write a file beside `path`, then flush it and move it into place."""
    aside = _aside(path)
    try:
        save(aside)
        _flush(aside)
        os.replace(aside, path)
    finally:
        aside.unlink(missing_ok=True)
    _flush(path.parent)


def create_exclusive(path: Path, content: str) -> bool:
    """Create `path` whole, unless it exists: True for exactly one of any number of callers.

    A hard link is the one operation that both creates a complete file and fails if the name is
    taken, also on a network file system.
    """
    aside = _aside(path)
    try:
        aside.write_text(content)
        _flush(aside)
        os.link(aside, path)
    except FileExistsError:
        return False
    finally:
        aside.unlink(missing_ok=True)
    _flush(path.parent)
    return True


def write_json(path: Path, value: Any) -> None:
    """Write `value` atomically as indented JSON."""
    write_atomic(path, json.dumps(value, indent=1, allow_nan=False) + "\n")


def read_json(path: Path) -> Any:
    """Read a JSON file."""
    return json.loads(path.read_text())


def _aside(path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    return path.with_name(f".{path.name}.{uuid.uuid4().hex[:8]}")


def _flush(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
