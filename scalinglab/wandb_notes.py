"""Notes of what was pushed to wandb, so that the next push sends only what is new.

    <folder>/pushed/<project>/<run_id>.json     one note a run

While a part of a run is written, its note names wandb's folder of that part and holds the note
before: if the writer is killed, the part is removed and written again.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from scalinglab.scaling.records.atomic import read_json, write_json
from scalinglab.scaling.records.damage import DamagedFile, set_aside

Note = dict[str, Any]
OFFLINE = "offline-run-"


class PushNotes:
    """The notes of one project.

    Parameters
    ----------
    folder : Path
        The folder of the notes; it is created.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        folder.mkdir(parents=True, exist_ok=True)

    def read(self, run_id: str) -> Note:
        """The note of a run; a part that a killed writer left is removed first."""
        note = self.written(run_id)
        writing, before = note.pop("writing", None), note.pop("before", {})
        if writing is None:
            return note
        partial = Path(writing)
        if partial.name.startswith(OFFLINE) and not is_uploaded(partial):
            shutil.rmtree(partial, ignore_errors=True)
        return before

    def written(self, run_id: str) -> Note:
        """The note as it is on the disk; a damaged note is empty: the whole run is pushed again."""
        try:
            return read_json(self._path(run_id), {})
        except FileNotFoundError:
            return {}
        except DamagedFile as error:
            set_aside(error, "its run is pushed again")
            return {}

    def write(self, run_id: str, note: Note, writing: Mapping[str, Any] | None = None) -> None:
        """Write a note; `writing` joins it while a part is being written."""
        write_json(self._path(run_id), {**note, **(writing or {})})

    def forget(self, run_ids: Iterable[str]) -> None:
        """Delete the notes of some runs: they are pushed again as a whole."""
        for run_id in run_ids:
            self._path(run_id).unlink(missing_ok=True)

    def _path(self, run_id: str) -> Path:
        return self.folder / f"{run_id}.json"


def is_uploaded(part: Path) -> bool:
    """Whether wandb has uploaded a folder that was written offline."""
    return any(part.glob("*.wandb.synced"))
