"""What was pushed to wandb, noted beside wandb's own folders: pushing again sends only what is new.

    <folder>/pushed/<project>/<run_id>.json     one note a run

A note says while a part is being written which folder that is, and what the note was before: if
its writer is killed, the part is removed and written again.
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
        Where they lie; it is made.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        folder.mkdir(parents=True, exist_ok=True)

    def read(self, run_id: str) -> Note:
        """What was pushed of a run; a part that was left half written is removed first."""
        note = self.written(run_id)
        writing, before = note.pop("writing", None), note.pop("before", {})
        if writing is None:
            return note
        left = Path(writing)
        if left.name.startswith(OFFLINE) and not is_uploaded(left):
            shutil.rmtree(left, ignore_errors=True)
        return before

    def written(self, run_id: str) -> Note:
        """The note as it stands; nothing if it cannot be read: all of the run is pushed again."""
        try:
            return read_json(self._path(run_id), {})
        except FileNotFoundError:
            return {}
        except DamagedFile as error:
            set_aside(error, "its run is pushed again")
            return {}

    def write(self, run_id: str, note: Note, writing: Mapping[str, Any] | None = None) -> None:
        """Note what was pushed; `writing` while more is written."""
        write_json(self._path(run_id), {**note, **(writing or {})})

    def forget(self, run_ids: Iterable[str]) -> None:
        """Let all of some runs be pushed again."""
        for run_id in run_ids:
            self._path(run_id).unlink(missing_ok=True)

    def _path(self, run_id: str) -> Path:
        return self.folder / f"{run_id}.json"


def is_uploaded(part: Path) -> bool:
    """Whether wandb has uploaded a folder that was written offline."""
    return any(part.glob("*.wandb.synced"))
