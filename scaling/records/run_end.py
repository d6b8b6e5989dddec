"""The files that end a run: DONE names the record that counts, STOPPED says why there is none."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from scalinglab.scaling.records.atomic import read_json
from scalinglab.scaling.records.damage import DamagedFile, Shape, reading
from scalinglab.scaling.records.data_spec import known_fields
from scalinglab.scaling.records.state import FINISHED, State

_DONE: Shape = {
    "attempt": int,
    "status": str,
    "steps": int,
    "record": str,
    "curve": str,
    "sha256": dict,
}


@dataclass(frozen=True)
class Done:
    """Content of DONE: the one attempt whose record counts.

    Attributes
    ----------
    attempt : int
    status : State
        Done or diverged.
    steps : int
        Steps in the record.
    record, curve : str
        Names of files in the run's folder.
    sha256 : mapping
        Name -> hash of each.
    """

    attempt: int
    status: State
    steps: int
    record: str
    curve: str
    sha256: Mapping[str, str]

    @property
    def curve_hash(self) -> str:
        """Hash of the curve."""
        return self.sha256[self.curve]


@dataclass(frozen=True)
class Stop:
    """Content of STOPPED: the step that the run had reached, and the reason with its numbers."""

    step: int
    why: Mapping[str, Any]


def read_done(path: Path) -> Done:
    """Read DONE.

    Raises
    ------
    FileNotFoundError
        If the run is not done.
    DamagedFile
        If it cannot be read, or names a state that is no end.
    """
    stored = read_json(path, _DONE)
    if stored["status"] not in FINISHED:
        raise DamagedFile(path, f"status = {stored['status']!r} is no end of a run")
    return known_fields(Done, {**stored, "status": State(stored["status"])})


def read_stop(path: Path) -> Stop:
    """Read STOPPED.

    Raises
    ------
    FileNotFoundError
        If the run was not stopped.
    DamagedFile
        If it cannot be read.
    """
    reason = read_json(path, {})
    with reading(path, "its step is no number"):
        return Stop(int(reason.get("step", 0)), reason)


def file_hash(path: Path) -> str:
    """SHA-256 of a file's content."""
    return hashlib.sha256(path.read_bytes()).hexdigest()
