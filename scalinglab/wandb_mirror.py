"""wandb, in one place: records are copied to it by a process of its own, and runs read from it.

A training never imports this; what fails here cannot touch a run, and the mirror can be made again
from the records at any time. Every run has one wandb run with the same id. What was pushed is noted
beside wandb's own folders, so that pushing again sends only what is new:

    <folder>/wandb/offline-run-<time>-<run_id>/     wandb's; several for a run that was pushed often
    <folder>/pushed/<project>/<run_id>.json         the note
    <folder>/pushed/.lock                           one writer at a time

wandb drops points that are not beyond a run's last step. So a heartbeat has the step of the
training, and a point of the finished curve comes after all of them: steps of the run + its step.
"""

from __future__ import annotations

import shlex
import shutil
import subprocess
import urllib.error
import urllib.request
from collections.abc import Iterable, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any

import wandb
from filelock import FileLock, Timeout

from scalinglab.scaling.config import ConfigError, one_of
from scalinglab.scaling.errors import UserError
from scalinglab.scaling.records.atomic import read_json, write_json
from scalinglab.scaling.records.damage import DamagedFile, set_aside
from scalinglab.scaling.records.run_folder import RunFolder
from scalinglab.scaling.records.state import State
from scalinglab.scaling.training.child import python_command, user_environment
from scalinglab.wandb_points import config_of, name_of, points_of

MODES = ("offline", "online")
SECONDS = 20  # until a server that does not answer counts as absent
_AXES = ("tokens", "flops")
_AGAINST_TOKENS = (
    "train/loss",
    "train/grad_norm",
    "train/lr",
    "validation/loss",
    "validation/bpb",
    "progress/loss",
    "progress/tokens_per_second",
)


class MirrorError(UserError):
    """wandb could not take what was pushed; the runs and their records are untouched."""


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
        self.notes = folder / "pushed" / project
        self.notes.mkdir(parents=True, exist_ok=True)
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

    def push(
        self, folder: RunFolder, study: str, role: str, state: str, keep_open: bool = False
    ) -> int:
        """Push what is new of a run; how many points that was.

        Parameters
        ----------
        folder : RunFolder
            The run.
        study, role : str
            wandb's group and job type. A run of several studies stays in the group in which it
            was pushed first and has all of them as tags.
        state : str
            As ``scaling status`` says it.
        keep_open : bool
            Whether more of it is to come soon.

        Raises
        ------
        MirrorError
            If wandb refuses or cannot be reached.
        """
        note, done = self._note(folder.run_id), folder.done()
        points, end = points_of(folder, note.get("last", 0), done)
        if done is not None:  # perhaps since the state was looked up
            state = done.status
        tags = sorted({*note.get("tags", ()), study, *role.split(",")})
        if not points and (note.get("state"), note.get("tags")) == (state, tags):
            return 0
        if not points and not note and not end:
            return 0  # it has never begun: there is nothing to show
        note |= {"group": note.get("group", study), "tags": tags, "state": state}
        run = self._run(folder, note, role)
        for step, point in points:
            run.log(point, step=step)
        run.summary.update(end | {"state": str(state)})  # wandb writes the name of an enum
        note["last"] = max([note.get("last", 0), *(step for step, _ in points)])
        self._save(folder.run_id, note)
        if end or not keep_open:
            self._close(folder.run_id)
        return len(points)

    def waiting(self) -> list[Path]:
        """Folders that wandb wrote offline and has not uploaded, in the order of time."""
        return sorted(p for p in self.folder.glob("wandb/offline-run-*") if not _is_uploaded(p))

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

    def _run(self, folder: RunFolder, note: dict[str, Any], role: str) -> Any:
        """The wandb run; a part of it that was interrupted in the middle is written again."""
        run_id = folder.run_id
        if run_id not in self._open:
            spec = folder.spec()
            # First, for it removes what a killed push left: a new part may have the same name,
            # which goes by the second.
            before = self._note(run_id)
            try:
                run = wandb.init(
                    project=self.project,
                    entity=self.entity,
                    id=run_id,
                    name=name_of(spec),
                    group=note["group"],
                    job_type=role,
                    tags=note["tags"],
                    dir=str(self.folder),
                    config=config_of(spec),
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
            for axis in _AXES:
                run.define_metric(axis)
            for name in _AGAINST_TOKENS:
                run.define_metric(name, step_metric="tokens")
            self._open[run_id] = run, {"writing": run.settings.sync_dir, "before": before}
            self._save(run_id, before)
        return self._open[run_id][0]

    def _close(self, run_id: str) -> None:
        note = self._note(run_id)
        run, _ = self._open.pop(run_id)
        run.finish(exit_code=1 if note["state"] == State.FAILED else 0)
        self._save(run_id, note)

    def _note(self, run_id: str) -> dict[str, Any]:
        path = self.notes / f"{run_id}.json"
        note = _read_note(path)
        writing, before = note.pop("writing", None), note.pop("before", {})
        if writing is None or run_id in self._open:
            return note
        left = Path(writing)  # whoever pushed it was killed
        if left.name.startswith("offline-run-") and not _is_uploaded(left):
            shutil.rmtree(left, ignore_errors=True)
        return before

    def _save(self, run_id: str, note: dict[str, Any]) -> None:
        _, writing = self._open.get(run_id, (None, {}))
        write_json(self.notes / f"{run_id}.json", note | writing)


def _read_note(path: Path) -> dict[str, Any]:
    """What was pushed of a run; nothing if that cannot be read: all of it is pushed again."""
    try:
        return read_json(path, {})
    except FileNotFoundError:
        return {}
    except DamagedFile as error:
        set_aside(error, "its run is pushed again")
        return {}


def _is_uploaded(segment: Path) -> bool:
    return any(segment.glob("*.wandb.synced"))


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
