"""Which processes are planning a study, by their marker files.

<outputs>/studies/<study>/planning-<token>.json    the process; removed when it has finished
"""

from __future__ import annotations

import secrets
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from scalinglab.scaling.records import machine
from scalinglab.scaling.records.atomic import read_json, server_time, write_json
from scalinglab.scaling.records.damage import DamagedFile
from scalinglab.scaling.records.processes import PROCESS, Process, this_process
from scalinglab.scaling.text.shell import override

# How long a marker of another host counts: from here nobody can see whether its process lives.
ELSEWHERE_SECONDS = 1800.0


@dataclass(frozen=True)
class Planner:
    """A process that plans a study, or launches what it planned.

    Attributes
    ----------
    process : Process
    began : float
        Seconds since 1970, by the clock of the files.
    """

    process: Process
    began: float

    def __str__(self) -> str:
        """ "since 01:22:03 UTC by process 4711"."""
        place = "" if self.process.host == machine.host() else f" on {self.process.host}"
        began = datetime.fromtimestamp(self.began, UTC)
        return f"since {began:%H:%M:%S} UTC by process {self.process.pid}{place}"


def mark_planning(folder: Path) -> Path:
    """Write the marker of this process into a study's folder; returns the file."""
    file = folder / f"planning-{secrets.token_hex(4)}.json"
    write_json(file, this_process().to_dict())
    return file


def planners(folder: Path) -> list[Planner]:
    """The processes that plan the study of a folder and have not ended, the first one first."""
    there = [p for file in folder.glob("planning-*.json") if (p := _planner(file)) is not None]
    return sorted(there, key=lambda planner: planner.began)


def first_plans(outputs: Path) -> dict[str, Planner]:
    """Studies whose first plan a process is making: nothing of them is stored yet."""
    folders = sorted({file.parent for file in outputs.glob("studies/*/planning-*.json")})
    return {
        folder.name: there[0]
        for folder in folders
        if not (folder / "plan.json").exists() and (there := planners(folder))
    }


def being_planned(folder: Path) -> str:
    """A sentence on a study that has no plan yet because it is being made; empty if it is not."""
    there = planners(folder)
    if not there:
        return ""
    watched = f"scaling status {override('study', folder.name)} watch=true"
    return (
        f"study {folder.name!r} is being planned {there[0]}: its plan is not stored yet;"
        f" {watched} waits for it"
    )


def no_such_study(outputs: Path, name: str, stored: Iterable[str]) -> str:
    """The sentence on a study that does not exist: which ones do, and which are being planned.

    Parameters
    ----------
    outputs : Path
    name : str
    stored : iterable of str
        Studies that have a plan, or were imported.
    """
    first = [f"{other} (being planned)" for other in first_plans(outputs)]
    there = ", ".join([*sorted(set(stored)), *first]) or "none"
    return (
        f"there is no study {name!r} in {outputs}; there are: {there}; "
        f"scaling launch {override('study', name)} trains it"
    )


def _planner(file: Path) -> Planner | None:
    try:
        process = Process.from_dict(read_json(file, PROCESS))
        if process.has_ended:
            file.unlink(missing_ok=True)
            return None
        began = file.stat().st_mtime
    except (FileNotFoundError, DamagedFile):
        return None
    if process.host == machine.host():
        return Planner(process, began)
    age = server_time(file.parent) - began
    return Planner(process, began) if age < ELSEWHERE_SECONDS else None
