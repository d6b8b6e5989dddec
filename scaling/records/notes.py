"""Notes that people keep with a run: what went wrong, what was done about it.

<run>/notes/<time>-<hash>.json    one note; created once, never changed

A public logbook told what went wrong in the training of OPT (arXiv 2205.01068). A note is no part
of what a run is: ids and records stay.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import UTC, datetime

from scalinglab.scaling.records.atomic import create_exclusive, read_json
from scalinglab.scaling.records.damage import DamagedFile, Shape, tell
from scalinglab.scaling.records.identity import digest
from scalinglab.scaling.records.run_folder import RunFolder

FOLDER = "notes"
_NOTE: Shape = {"text": str, "made": str}


@dataclass(frozen=True, order=True)
class Note:
    """A note.

    Attributes
    ----------
    made : str
        When, in UTC, as ISO 8601.
    text : str
    """

    made: str
    text: str

    def __str__(self) -> str:
        """ "2026-11-29 18:30: restarted with half the LR"."""
        return f"{self.made[:16].replace('T', ' ')}: {self.text}"


def add_note(run: RunFolder, text: str) -> Note:
    """Keep a note with a run, beside those that it has."""
    note = Note(datetime.now(UTC).isoformat(timespec="milliseconds"), text)
    name = f"{note.made[:19].replace(':', '')}-{digest([note.made, text], 8)}.json"
    folder = run.path / FOLDER
    folder.mkdir(exist_ok=True)
    create_exclusive(folder / name, json.dumps(vars(note), indent=1) + "\n")
    return note


def notes_of(run: RunFolder) -> list[Note]:
    """The notes of a run, the oldest first; of damaged ones is told."""
    notes = []
    for file in sorted((run.path / FOLDER).glob("*.json")):
        try:
            stored = read_json(file, _NOTE)
            notes.append(Note(stored["made"], stored["text"]))
        except FileNotFoundError:
            continue
        except DamagedFile as error:
            tell(error, "this note is left out")
    return sorted(notes)


def notes_text(run: RunFolder) -> str:
    """All notes of a run in one text, a line each; empty where there are none."""
    return "\n".join(map(str, notes_of(run)))
