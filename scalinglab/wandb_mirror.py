"""Records are copied to wandb by a process of its own.

A training never imports this; what fails here cannot touch a run, and the mirror can be made again
from the records at any time. Every run has one wandb run with the same id, every study one more
with its results:

    <folder>/wandb/offline-run-<time>-<run_id>/     wandb's; several for a run that was pushed often
    <folder>/artifacts/                             copies of results until they are uploaded
    <folder>/pushed/<project>/<run_id>.json         what was pushed (``scalinglab.wandb_notes``)
    <folder>/pushed/.lock                           one writer at a time

Every point says its true step and tokens, which are the axes. wandb's own step is the true one, too,
but it cannot go back: where a curve follows what was shown live, it goes on counting.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any

from filelock import FileLock, Timeout

from scalinglab.scaling.config import one_of
from scalinglab.scaling.records.notes import notes_text
from scalinglab.scaling.records.run_folder import RunFolder
from scalinglab.scaling.records.state import State
from scalinglab.wandb_client import (
    Described,
    MirrorError,
    log_files,
    open_run,
    page,
    reach,
    upload,
)
from scalinglab.wandb_notes import OFFLINE, Note, PushNotes, is_uploaded
from scalinglab.wandb_points import (
    AXES,
    TRAIN,
    VALIDATION,
    Points,
    config_of,
    curve_points,
    live_points,
    name_of,
    summary_of,
)

if TYPE_CHECKING:
    from scalinglab.wandb_study import StudyResults

MODES = ("offline", "online")


@dataclass(frozen=True)
class InStudy:
    """What a run is in the study with which it is pushed.

    Attributes
    ----------
    study, question : str
        wandb's group, and its notes of the run.
    role : str
        wandb's job type; of several roles, joined by commas.
    varies : str
        The settings that tell it from the study's other runs: ``optimizer=muon loops=2``.
    """

    study: str
    role: str
    varies: str = ""
    question: str = ""


class WandbMirror:
    """Pushes runs to wandb; a context manager.

    Parameters
    ----------
    folder : Path
        Where wandb writes, and where is noted what was pushed.
    project, entity : str
        wandb's.
    mode : str
        "offline" (for ``wandb sync`` later) or "online".

    Raises
    ------
    ConfigError
        If the mode is none of these.
    MirrorError
        If another process pushes from this folder.
    OSError
        If nothing can be written to the folder.
    """

    def __init__(
        self, folder: Path, project: str, entity: str | None = None, mode: str = "offline"
    ) -> None:
        one_of("mode", mode, MODES)
        self.folder, self.project, self.entity, self.mode = folder, project, entity, mode
        self.notes = PushNotes(folder / "pushed" / project)
        self._open: dict[str, tuple[Any, dict[str, Any]]] = {}
        self._lock = FileLock(folder / "pushed" / ".lock", thread_local=False)
        try:
            self._lock.acquire(blocking=False)
        except Timeout as error:
            raise MirrorError(f"another process is pushing runs from {folder}") from error

    def __enter__(self) -> WandbMirror:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        for run_id in list(self._open):
            self._close(run_id)
        self._lock.release()

    def push(self, folder: RunFolder, of: InStudy, state: str, keep_open: bool = False) -> int:
        """Push what is new of a run; how many points that was.

        Parameters
        ----------
        folder : RunFolder
            The run.
        of : InStudy
            A run of several studies stays in the group in which it was pushed first and has all of
            them as tags.
        state : str
            As ``scaling status`` says it.
        keep_open : bool
            Whether more of it is to come soon.

        Raises
        ------
        MirrorError
            If wandb refuses or cannot be reached.
        """
        run_id = folder.run_id
        note, done = _of_this_version(self._note(run_id), folder), folder.done()
        record = None if done is None else folder.record()
        live: dict[str, list[int]] = note.get("live", {})
        points: Points = []
        if done is not None and record is not None:  # perhaps since the state was looked up
            state = done.status
            points = [] if note.get("whole") else curve_points(folder, record, live)
        else:
            points = live_points(folder, live)
        end = summary_of(folder, done)
        tags = sorted({*note.get("tags", ()), of.study, *of.role.split(",")})
        kept = notes_text(folder)
        pushed = note.get("state"), note.get("tags"), note.get("notes", "")
        if not points and pushed == (state, tags, kept):
            return 0
        if not points and not note and not end:
            return 0  # it has never begun: there is nothing to show
        is_new = not note
        first = {"group": of.study, "varies": of.varies}
        note = first | note | {"tags": tags, "state": state, "notes": kept}
        spec = folder.spec()
        config = config_of(spec, note["varies"], record)
        described = Described(
            run_id,
            name_of(spec, note["varies"]),
            note["group"],
            of.role,
            tags,
            config,
            of.question if is_new else None,  # whoever edits it on wandb keeps the edit
            AXES,
        )
        was_open = run_id in self._open
        run = self._run(described)
        if was_open and record is not None:
            run.config.update(config, allow_val_change=True)
        for step, point in points:
            note["last"] = max(note.get("last", -1) + 1, step)
            run.log(point, step=note["last"])
        if kept:
            end = end | {"notes": kept}
        run.summary.update(end | {"state": str(state)})  # wandb writes the name of an enum
        note |= {"live": _with(live, points), "whole": record is not None}
        self._save(run_id, note)
        if record is not None or not keep_open:
            self._close(run_id)
        return len(points)

    def push_study(self, results: StudyResults) -> bool:
        """Push the results of a study as a run of its own, if they are new.

        Its summary has the fitted law, its artefact the report, the answer, figures and tables.

        Raises
        ------
        MirrorError
            As `push`.
        """
        note = self._note(results.run_id)
        if note.get("digest") == results.digest:
            return False
        run = self._run(
            Described(
                results.run_id,
                f"study {results.study}",
                results.study,
                "study",
                [results.study, "study"],
                results.config,
                results.question if not note else None,
            )
        )
        run.summary.update(results.summary)
        if results.page is not None:
            run.summary["report"] = page(results.page.decode())
        if results.files:
            log_files(run, f"{results.run_id}-results", results.files, self.folder)
        self._save(results.run_id, note | {"digest": results.digest, "state": State.DONE})
        self._close(results.run_id)
        return True

    def gone(self, run_ids: Iterable[str]) -> list[str]:
        """Runs of which a folder that was written offline is not there any more."""
        here = {path.name for path in self.folder.glob(f"wandb/{OFFLINE}*")}
        return [i for i in run_ids if not here.issuperset(self.notes.read(i).get("parts", ()))]

    def forget(self, run_ids: Iterable[str]) -> None:
        """Let all of some runs be pushed again."""
        self.notes.forget(run_ids)

    def waiting(self) -> list[Path]:
        """Folders that wandb wrote offline and has not uploaded, in the order of time."""
        return sorted(p for p in self.folder.glob(f"wandb/{OFFLINE}*") if not is_uploaded(p))

    def upload(self) -> int:
        """Upload what was written offline; how many folders that was.

        Raises
        ------
        MirrorError
            If the server cannot be reached or refuses.
        """
        reach()
        waiting = self.waiting()
        if waiting:
            upload(waiting)
        return len(waiting)

    # ------------------------------------------------------------------ one run

    def _run(self, described: Described) -> Any:
        """The wandb run; a part of it that was interrupted in the middle is written again."""
        run_id = described.id
        if run_id not in self._open:
            # First, for it removes what a killed push left: a new part may have the same name,
            # which goes by the second.
            before = self._note(run_id)
            run = open_run(described, self.folder, self.project, self.entity, self.mode)
            self._open[run_id] = run, {"writing": run.settings.sync_dir, "before": before}
            self._save(run_id, before)
        return self._open[run_id][0]

    def _close(self, run_id: str) -> None:
        note = self._note(run_id)
        run, writing = self._open.pop(run_id)
        run.finish(exit_code=1 if note["state"] == State.FAILED else 0)
        if self.mode == "offline":
            note["parts"] = [*note.get("parts", ()), Path(writing["writing"]).name]
        self._save(run_id, note)

    def _note(self, run_id: str) -> Note:
        if run_id in self._open:
            note = self.notes.written(run_id)
            return {k: v for k, v in note.items() if k not in ("writing", "before")}
        return self.notes.read(run_id)

    def _save(self, run_id: str, note: Note) -> None:
        _, writing = self._open.get(run_id, (None, {}))
        self.notes.write(run_id, note, writing)


def _of_this_version(note: Note, folder: RunFolder) -> Note:
    """A note as it is written now; the first ones told by the last step whether all was pushed."""
    if "last" not in note or "live" in note:
        return note
    return note | {"live": {}, "whole": note["last"] > folder.spec().steps}


def _with(live: Mapping[str, Sequence[int]], points: Points) -> dict[str, list[int]]:
    """The steps at which a metric was shown."""
    return {
        name: [*live.get(name, ()), *(step for step, values in points if name in values)]
        for name in (TRAIN, VALIDATION)
    }
