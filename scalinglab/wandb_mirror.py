"""wandb, in one place: records are copied to it by a process of its own, and runs read from it.

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

import os
import shlex
import subprocess
import urllib.error
import urllib.request
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any

import wandb
from filelock import FileLock, Timeout

from scalinglab.scaling.config import ConfigError, one_of
from scalinglab.scaling.errors import UserError
from scalinglab.scaling.records.run_folder import RunFolder
from scalinglab.scaling.records.state import State
from scalinglab.scaling.training.child import python_command, user_environment
from scalinglab.wandb_notes import OFFLINE, Note, PushNotes, is_uploaded
from scalinglab.wandb_points import (
    AXES,
    METRICS,
    STEP_METRIC,
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
SECONDS = 20  # until a server that does not answer counts as absent


class MirrorError(UserError):
    """wandb could not take what was pushed; the runs and their records are untouched."""


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


@dataclass(frozen=True)
class _Described:
    """One run as wandb gets it when it is opened."""

    id: str
    name: str
    group: str
    job_type: str
    tags: list[str]
    config: Mapping[str, Any]
    notes: str | None = None
    axes: Sequence[str] = field(default=())


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
        if not points and (note.get("state"), note.get("tags")) == (state, tags):
            return 0
        if not points and not note and not end:
            return 0  # it has never begun: there is nothing to show
        is_new = not note
        first = {"group": of.study, "varies": of.varies}
        note = first | note | {"tags": tags, "state": state}
        spec = folder.spec()
        config = config_of(spec, note["varies"], record)
        described = _Described(
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
            _Described(
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
            run.summary["report"] = wandb.Html(results.page.decode(), inject=False)
        with _staged_in(self.folder):
            artefact = wandb.Artifact(f"{results.run_id}-results", "study")
            for name, content in results.files.items():
                with artefact.new_file(name, mode="wb") as file:
                    file.write(content)
            run.log_artifact(artefact)
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
        self._reach()
        waiting = [str(path) for path in self.waiting()]
        if waiting:
            done = subprocess.run(
                python_command("wandb", "sync", "--yes", *waiting),
                env=user_environment(),
                stdin=subprocess.DEVNULL,
                capture_output=True,
                text=True,
                check=False,
            )
            if done.returncode:
                last = (done.stderr or done.stdout).strip().splitlines()[-1:] or ["no message"]
                raise MirrorError(f"wandb did not upload {self.folder}/wandb: {last[0]}")
        return len(waiting)

    def _reach(self) -> None:
        url = wandb.setup().settings.base_url
        try:
            urllib.request.urlopen(url, timeout=SECONDS).close()
        except urllib.error.HTTPError:
            pass  # it answers
        except OSError as error:
            reason = getattr(error, "reason", error)
            raise MirrorError(
                f"{url} cannot be reached ({reason}); mode=offline writes everything here, to be "
                "uploaded later"
            ) from error

    # ------------------------------------------------------------------ one run

    def _run(self, described: _Described) -> Any:
        """The wandb run; a part of it that was interrupted in the middle is written again."""
        run_id = described.id
        if run_id not in self._open:
            # First, for it removes what a killed push left: a new part may have the same name,
            # which goes by the second.
            before = self._note(run_id)
            try:
                run = wandb.init(
                    project=self.project,
                    entity=self.entity,
                    id=run_id,
                    name=described.name,
                    group=described.group,
                    job_type=described.job_type,
                    tags=described.tags,
                    notes=described.notes,
                    dir=str(self.folder),
                    config=dict(described.config),
                    mode=self.mode,  # type: ignore[arg-type]  # one of MODES
                    resume="allow",
                    reinit="create_new",
                    settings=wandb.Settings(
                        silent=True,
                        console="off",
                        init_timeout=SECONDS,
                        disable_git=True,
                        save_code=False,
                        x_disable_stats=True,
                        x_disable_meta=True,
                    ),
                )
            except wandb.errors.Error as error:
                raise MirrorError(
                    f"wandb did not take run {run_id}: {str(error).splitlines()[0]}"
                ) from error
            for axis in described.axes:
                run.define_metric(axis, hidden=True)
            for name in METRICS if described.axes else ():
                run.define_metric(name, step_metric=STEP_METRIC)
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


@contextmanager
def _staged_in(folder: Path) -> Iterator[None]:
    """wandb keeps artefacts until they are uploaded: beside its runs, not in a home folder."""
    before = os.environ.get("WANDB_DATA_DIR")
    os.environ["WANDB_DATA_DIR"] = str(folder)
    try:
        yield
    finally:
        if before is None:
            del os.environ["WANDB_DATA_DIR"]
        else:
            os.environ["WANDB_DATA_DIR"] = before


def upload_command(waiting: Sequence[Path]) -> str:
    """What a person says where there is a network, to upload folders written offline."""
    return f"wandb sync --yes {shlex.quote(str(waiting[0].parent))}/offline-run-*"


def wandb_runs(
    path: str, *, sweep: str | None = None, tags: Sequence[str] = (), state: Sequence[str] = ()
) -> Iterable[Any]:
    """Runs of a project, ``entity/project``; those of a sweep, with a tag, in a state.

    Raises
    ------
    ConfigError
        If wandb cannot be reached, does not know this machine, or has no such project.
    """
    conditions = filters(sweep, tags, state)
    try:
        return list(wandb.Api(timeout=30).runs(path, filters=conditions))
    except (wandb.errors.Error, ValueError, OSError) as error:
        raise ConfigError(f"wandb:{path}: {str(error).splitlines()[0]}") from None


def filters(sweep: str | None, tags: Sequence[str], state: Sequence[str]) -> dict[str, Any]:
    """What is asked of wandb's API, in its language; empty for all runs."""
    conditions: dict[str, Any] = {}
    if sweep:
        conditions["sweep"] = sweep
    if tags:
        conditions["tags"] = {"$in": list(tags)}
    if state:
        conditions["state"] = {"$in": list(state)}
    return conditions
