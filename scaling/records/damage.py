"""Damaged files: found when they are read, named in a sentence, and never trained on.

A JSON file of ours carries a checksum of its own content, so that one changed digit is found. Files
that were written before checksums have none; of them the syntax and the expected keys are checked.
"""

from __future__ import annotations

import contextlib
import json
import logging
import os
import re
import zlib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from scalinglab.scaling.errors import UserError

CHECKSUM = "checksum"
SET_ASIDE = ".damaged"  # appended to the name of a file that is no longer used

# Key -> expected type or types, or a nested Shape.
Shape = Mapping[str, "type | tuple[type, ...] | Shape"]

# Name of a damaged file -> what to do about it.
_WAYS_OUT = (
    (r"run\.json", "remove it: the next launch of its study writes it again"),
    (r"DONE", "remove it: the next launch trains the run again from its last checkpoint"),
    (
        r"(record|curve)-.*",
        "remove DONE beside it: the next launch trains the run again from its last checkpoint",
    ),
    (r"STOPPED", "remove it: the next launch trains the run on"),
    (r"plan\.json", "launch its study again: the plan is made anew"),
    (r"added\.json", "mend it or remove it: without it the study has the blocks of its file only"),
    (r"launch\.json", "remove its folder: the next launch makes another"),
    (r"imported\.json|runs\.parquet|curves\.parquet", "import the study again"),
    (
        r"manifest\.json|(train|validation)\.bin",
        "remove the folder of this store: the same command "
        "makes it again if its source is still there",
    ),
)
# Files that only training can make again, and what to do if they are intact but unreadable.
_OF_A_RUN = r"run\.json|DONE|STOPPED|record-.*"
_OTHER_CODE = "its checksum holds, so other code wrote it: read it with that code"
_told: set[str] = set()
log = logging.getLogger(__name__)


class DamagedFile(UserError):
    """A file was changed since it was written, or cannot be read.

    Parameters
    ----------
    path : Path
        The file.
    why : str
        What is wrong with it.
    way_out : str, optional
        What to do about it, unless the file's name decides.
    """

    def __init__(self, path: Path, why: str, way_out: str | None = None) -> None:
        self.path, self.why, self.way_out = path, why, way_out
        ways = (text for name, text in _WAYS_OUT if re.fullmatch(name, path.name))
        super().__init__(f"{path} is damaged: {why}; {way_out or next(ways, 'remove it')}")

    def __reduce__(self) -> tuple[Any, ...]:  # it must survive pickling between processes
        return type(self), (self.path, self.why, self.way_out)


def tell(error: DamagedFile, consequence: str) -> None:
    """Log a damaged file, once in this process, and the consequence."""
    text = f"{error} ({consequence})"
    if text not in _told:
        _told.add(text)
        log.warning("%s", text)


def set_aside(error: DamagedFile, consequence: str) -> None:
    """Rename a damaged file, so that nobody reads it again, and log that."""
    aside = error.path.with_name(error.path.name + SET_ASIDE)
    with contextlib.suppress(OSError):  # another process was faster, or we may only read
        os.replace(error.path, aside)
        log.warning(
            "%s is damaged: %s; renamed to %s; %s", error.path, error.why, aside.name, consequence
        )


def sealed(value: Any, *, allow_nan: bool = False) -> str:
    """JSON of a value; an object gets a checksum of its content."""
    if isinstance(value, dict):
        value = {**value, CHECKSUM: _checksum(value)}
    return json.dumps(value, indent=1, allow_nan=allow_nan) + "\n"


def unsealed(path: Path, content: bytes, shape: Shape | None = None) -> Any:
    """The value in the content of a JSON file, without its checksum.

    Raises
    ------
    DamagedFile
        If it is no JSON, has another checksum, or lacks what `shape` asks for.
    """
    try:
        value = json.loads(content)
    except (ValueError, RecursionError) as error:
        why = "it is empty" if not content.strip() else f"it is not JSON ({error})"
        raise DamagedFile(path, why) from error
    if isinstance(value, dict) and CHECKSUM in value:
        written = value.pop(CHECKSUM)
        if written != _checksum(value):
            raise DamagedFile(
                path,
                "its content does not match its checksum (if you changed it by "
                f"hand, remove the key {CHECKSUM!r})",
            )
    if shape is not None:
        check_shape(path, value, shape)
    return value


def check_shape(path: Path, value: Any, shape: Shape, where: str = "") -> None:
    """Raise `DamagedFile` unless a value is an object with the keys and types of `shape`."""
    if not isinstance(value, dict):
        kind = type(value).__name__
        raise DamagedFile(path, f"{where or 'it'} is of the type {kind}, not an object")
    for key, expected in shape.items():
        name = f"{where}.{key}" if where else key
        if key not in value:
            raise DamagedFile(path, f"it has no key {name!r}")
        if isinstance(expected, Mapping):
            check_shape(path, value[key], expected, name)
        elif not isinstance(value[key], expected):
            raise DamagedFile(path, f"{name} = {str(value[key])[:40]!r} has an unexpected type")


@contextlib.contextmanager
def reading(path: Path, why: str) -> Iterator[None]:
    """Turn the exceptions of a reader about a value of the wrong shape into `DamagedFile`.

    A run's file with a correct checksum is intact: then the message does not say to remove it.

    Parameters
    ----------
    path : Path
        The file that holds the value.
    why : str
        What is wrong with it; the error follows.
    """
    try:
        yield
    except DamagedFile:
        raise
    except (LookupError, TypeError, ValueError) as error:
        keep = re.fullmatch(_OF_A_RUN, path.name) is not None and _is_as_written(path)
        raise DamagedFile(path, f"{why} ({error!r})", _OTHER_CODE if keep else None) from error


def _is_as_written(path: Path) -> bool:
    """Whether a file has a correct checksum."""
    try:
        value = json.loads(path.read_bytes())
    except (OSError, ValueError, RecursionError):
        return False
    return isinstance(value, dict) and value.pop(CHECKSUM, None) == _checksum(value)


def _checksum(value: dict[str, Any]) -> str:
    """CRC-32 of the content in the order of its keys, without spaces."""
    text = json.dumps(value, separators=(",", ":"))
    return f"{zlib.crc32(text.encode()):08x}"
