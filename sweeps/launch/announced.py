"""A marker file while a launcher plans, so that ``status --watch`` keeps waiting for it.

<outputs>/studies/<study>/planning-<token>.json    the process; removed when it has finished
"""

from __future__ import annotations

import contextlib
import secrets
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from scalinglab.scaling.records import machine
from scalinglab.scaling.records.atomic import read_json, server_time, write_json
from scalinglab.scaling.records.damage import DamagedFile
from scalinglab.scaling.records.processes import PROCESS, Process, this_process
from scalinglab.scaling.records.study_name import is_study_name
from scalinglab.sweeps.store.stored_plan import outputs_folder, study_folder

# How long a marker of another host counts: from here nobody can see whether its process lives.
ELSEWHERE_SECONDS = 1800.0


@contextlib.contextmanager
def announced(composed: Mapping[str, Any]) -> Iterator[None]:
    """Mark a composed study as being planned by this process; a refused launch leaves no folder.

    A configuration without a valid study name is not marked: the plan refuses it.
    """
    outputs = outputs_folder(composed["outputs"])
    study = composed.get("study")
    name = study.get("name") if isinstance(study, dict) else None
    if not isinstance(name, str) or not is_study_name(name):
        yield
        return
    folder = study_folder(outputs, name)
    new_folders = [path for path in (folder, folder.parent, outputs) if not path.exists()]
    file = folder / f"planning-{secrets.token_hex(4)}.json"
    write_json(file, this_process().to_dict())
    try:
        yield
    finally:
        file.unlink(missing_ok=True)
        with contextlib.suppress(OSError):  # it is not empty: something was stored
            for path in new_folders:
                path.rmdir()


def is_announced(outputs: Path, study: str) -> bool:
    """Whether a launcher of a study is planning it, or launching what it planned."""
    files = study_folder(outputs, study).glob("planning-*.json")
    return any(_is_there(file, outputs) for file in files)


def _is_there(file: Path, outputs: Path) -> bool:
    try:
        process = Process.from_dict(read_json(file, PROCESS))
        if process.has_ended:
            file.unlink(missing_ok=True)
            return False
        age = server_time(outputs) - file.stat().st_mtime
    except (FileNotFoundError, DamagedFile):
        return False
    return process.host == machine.host() or age < ELSEWHERE_SECONDS
