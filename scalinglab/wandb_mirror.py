"""A mirror of the records on wandb, written by a process of its own.

A training never imports this file: an error here cannot touch a run, and the mirror can be rebuilt
from the records at any time. Every run has one wandb run with the same id, and every study a
further one with its results:

    <folder>/wandb/offline-run-<time>-<run_id>/     wandb's; several if a run was pushed repeatedly
    <folder>/artifacts/                             copies of results until they are uploaded
    <folder>/pushed/<project>/<run_id>.json         what was pushed (``scalinglab.wandb_notes``)
    <folder>/pushed/.lock                           one writer at a time

Every point has its true step and tokens, which are the axes. wandb's own step equals the true one,
but it cannot go back: where a recorded curve follows points that were shown live, it counts on.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any

from filelock import FileLock, Timeout

from scalinglab.scaling.fields import one_of
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
    curve_points,
    live_points,
)
from scalinglab.wandb_run import InStudy, config_of, name_of, summary_of

if TYPE_CHECKING:
    from scalinglab.scaling.records.record import Record
    from scalinglab.wandb_study import StudyResults

MODES = ("offline", "online")


class WandbMirror:
    """Pushes runs to wandb; a context manager.

    Parameters
    ----------
    folder : Path
        Where wandb writes, and where the notes of what was pushed are.
    project, entity : str
        The project on wandb, and its user or team.
    mode : str
        "offline" (for ``wandb sync`` later) or "online".

    Raises
    ------
    ConfigError
        If the mode is another.
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

    def push(self, folder: RunFolder, of: InStudy, state: str, *, keep_open: bool = False) -> int:
        """Push what is new of a run; returns the number of new points.

        Parameters
        ----------
        folder : RunFolder
            The run.
        of : InStudy
            Its study. A run of several studies stays in the group in which it was pushed first, and
            has all of them as tags.
        state : str
            Its state, as in ``scaling status``.
        keep_open : bool
            Whether more of the run will be pushed soon.

        Raises
        ------
        MirrorError
            If wandb refuses or cannot be reached.
        """
        run_id = folder.run_id
        note, done = _upgraded(self._note(run_id), folder), folder.done()
        record = None if done is None else folder.record()
        live: dict[str, list[int]] = note.get("live", {})
        points: Points = []
        if done is not None and record is not None:  # it may have ended since `state` was read
            state = done.status
            points = [] if note.get("whole") else curve_points(folder, record, live)
        else:
            points = live_points(folder, live)
        summary = summary_of(folder, done)
        tags = sorted({*note.get("tags", ()), of.study, *of.role.split(",")})
        kept = notes_text(folder)
        pushed = note.get("state"), note.get("tags"), note.get("notes", "")
        if not points and pushed == (state, tags, kept):
            return 0
        if not points and not note and not summary:
            return 0  # it has not begun: there is nothing to show
        question = None if note else of.question  # on wandb a person may have edited it since
        in_study: Note = {"group": of.study, "varies": of.varies}
        note = in_study | note
        note |= {"tags": tags, "state": state, "notes": kept}
        run = self._described_run(folder, note, of.role, question, record)
        for step, point in points:
            note["last"] = max(note.get("last", -1) + 1, step)
            run.log(point, step=note["last"])
        if kept:
            summary = summary | {"notes": kept}
        run.summary.update(summary | {"state": str(state)})  # wandb writes the name of an enum
        note |= {"live": _with_points(live, points), "whole": record is not None}
        self._save(run_id, note)
        if record is not None or not keep_open:
            self._close(run_id)
        return len(points)

    def _described_run(
        self, folder: RunFolder, note: Note, role: str, question: str | None, record: Record | None
    ) -> Any:
        """The wandb run of a run, opened with its description."""
        spec = folder.spec()
        config = config_of(spec, note["varies"], record)
        was_open = folder.run_id in self._open
        run = self._run(
            Described(
                folder.run_id,
                name_of(spec, note["varies"]),
                note["group"],
                role,
                note["tags"],
                config,
                question,
                AXES,
            )
        )
        if was_open and record is not None:  # it was opened before there was a record
            run.config.update(config, allow_val_change=True)
        return run

    def push_study(self, results: StudyResults) -> bool:
        """Push the results of a study as a separate run, if they are new; returns whether they are.

        The run's summary has the fitted law, its artefact the report, the answer, figures and
        tables.

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
        """Runs of which a folder that was written offline has been removed."""
        present = {path.name for path in self.folder.glob(f"wandb/{OFFLINE}*")}
        return [i for i in run_ids if not present.issuperset(self.notes.read(i).get("parts", ()))]

    def forget(self, run_ids: Iterable[str]) -> None:
        """Forget what was pushed of some runs: they are pushed again as a whole."""
        self.notes.forget(run_ids)

    def waiting(self) -> list[Path]:
        """Folders that wandb wrote offline and has not uploaded, in the order of time."""
        return sorted(p for p in self.folder.glob(f"wandb/{OFFLINE}*") if not is_uploaded(p))

    def upload(self) -> int:
        """Upload all folders that were written offline; returns their number.

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
        """The wandb run, opened if it is not; a part that a killed push left is removed first."""
        run_id = described.id
        if run_id not in self._open:
            # Reading the note removes that part. It must be gone before a new part is opened: wandb
            # names a part by the second, so both may have the same name.
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


def _upgraded(note: Note, folder: RunFolder) -> Note:
    """A note in today's form; early notes say by the last step whether all was pushed."""
    if "last" not in note or "live" in note:
        return note
    return note | {"live": {}, "whole": note["last"] > folder.spec().steps}


def _with_points(live: Mapping[str, Sequence[int]], points: Points) -> dict[str, list[int]]:
    """Metric -> the steps at which it was shown, with those of new points."""
    return {
        name: [*live.get(name, ()), *(step for step, values in points if name in values)]
        for name in (TRAIN, VALIDATION)
    }
