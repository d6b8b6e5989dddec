"""wandb, in one place: its runs, artefacts and uploads, and the runs of its projects."""

from __future__ import annotations

import os
import shlex
import subprocess
import urllib.error
import urllib.request
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import wandb

from scalinglab.scaling.errors import ConfigError, UserError
from scalinglab.scaling.training.child import python_command, user_environment
from scalinglab.wandb_points import METRICS, STEP_METRIC
from scalinglab.wandb_study import is_study

SECONDS = 20  # until a server that does not answer counts as absent


class MirrorError(UserError):
    """wandb could not take what was pushed; the runs and their records are untouched."""


@dataclass(frozen=True)
class Described:
    """The description of a run with which wandb opens it."""

    id: str
    name: str
    group: str
    job_type: str
    tags: list[str]
    config: Mapping[str, Any]
    notes: str | None = None
    axes: Sequence[str] = ()


def open_run(
    described: Described, folder: Path, project: str, entity: str | None, mode: str
) -> Any:
    """Begin a run on wandb, or a further part of a run.

    Raises
    ------
    MirrorError
        If wandb refuses or cannot be reached.
    """
    try:
        run = wandb.init(
            project=project,
            entity=entity,
            id=described.id,
            name=described.name,
            group=described.group,
            job_type=described.job_type,
            tags=described.tags,
            notes=described.notes,
            dir=str(folder),
            config=dict(described.config),
            mode=mode,  # type: ignore[arg-type]  # one of its modes
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
                x_save_requirements=False,  # of the machine that pushes, which trained nothing
            ),
        )
    except wandb.errors.Error as error:
        raise MirrorError(
            f"wandb did not take run {described.id}: {str(error).splitlines()[0]}"
        ) from error
    for axis in described.axes:
        run.define_metric(axis, hidden=True)
    for name in METRICS if described.axes else ():
        run.define_metric(name, step_metric=STEP_METRIC)
    return run


def page(html: str) -> Any:
    """A page as wandb shows it."""
    return wandb.Html(html, inject=False)


def log_files(run: Any, name: str, files: Mapping[str, bytes], folder: Path) -> None:
    """Log files as one artefact of a run; copies stay in the folder until it is uploaded."""
    with _staged_in(folder):
        artefact = wandb.Artifact(name, "study")
        for path, content in files.items():
            with artefact.new_file(path, mode="wb") as file:
                file.write(content)
        run.log_artifact(artefact)


@contextmanager
def _staged_in(folder: Path) -> Iterator[None]:
    """Let wandb keep its copies of artefacts in a folder, not in the home folder."""
    before = os.environ.get("WANDB_DATA_DIR")
    os.environ["WANDB_DATA_DIR"] = str(folder)
    try:
        yield
    finally:
        if before is None:
            del os.environ["WANDB_DATA_DIR"]
        else:
            os.environ["WANDB_DATA_DIR"] = before


def reach() -> None:
    """Check that the server answers.

    Raises
    ------
    MirrorError
        If it does not.
    """
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


def upload(parts: Sequence[Path]) -> None:
    """Upload folders that were written offline.

    Raises
    ------
    MirrorError
        If wandb does not.
    """
    done = subprocess.run(
        python_command("wandb", "sync", "--yes", *parts),
        env=user_environment(),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        last = (done.stderr or done.stdout).strip().splitlines()[-1:] or ["no message"]
        raise MirrorError(f"wandb did not upload {parts[0].parent}: {last[0]}")


def upload_command(waiting: Sequence[Path]) -> str:
    """The command that uploads folders written offline, for a machine with a network."""
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
        runs = list(wandb.Api(timeout=30).runs(path, filters=conditions))
    except (wandb.errors.Error, ValueError, OSError) as error:
        raise ConfigError(f"wandb:{path}: {str(error).splitlines()[0]}") from None
    return [run for run in runs if not is_study(run.job_type, run.id)]


def filters(sweep: str | None, tags: Sequence[str], state: Sequence[str]) -> dict[str, Any]:
    """The conditions in the form of wandb's API; empty for all runs."""
    conditions: dict[str, Any] = {}
    if sweep:
        conditions["sweep"] = sweep
    if tags:
        conditions["tags"] = {"$in": list(tags)}
    if state:
        conditions["state"] = {"$in": list(state)}
    return conditions
