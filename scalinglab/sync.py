"""Push the runs of a study to wandb, from their records; only what is new is pushed."""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from scalinglab.options import OutputsOptions, option
from scalinglab.scaling.errors import ConfigError
from scalinglab.scaling.extras import needs_extra
from scalinglab.scaling.fields import one_of
from scalinglab.scaling.records.damage import DamagedFile, tell
from scalinglab.scaling.records.state import ENDED, State
from scalinglab.scaling.text.shell import override
from scalinglab.sweeps.store.state import states
from scalinglab.sweeps.store.stored_plan import StoredPlan, read_plan, study_folder
from scalinglab.terminal import Screen
from scalinglab.wandb_run import InStudy
from scalinglab.wandb_study import is_outdated, run_id_of, study_results

if TYPE_CHECKING:
    from scalinglab.wandb_mirror import WandbMirror

MODES = ("offline", "online")


@dataclass(frozen=True, kw_only=True)
class SyncOptions(OutputsOptions):
    """Options of ``scaling sync``."""

    study: str = option("the study whose runs are pushed")
    mode: str = option("offline (folders to upload later) or online", "offline")
    watch: bool = option("go on until every run has ended", False)
    seconds: float = option("seconds between two pushes of watch=true", 30.0)
    project: str = option("the project on wandb", "scaling")
    entity: str | None = option("the user or team on wandb", None)
    dir: str | None = option("where wandb writes; OUTPUTS/dashboard if not given", None)
    again: bool = option("push everything again, whatever was pushed before", False)
    workspace: bool = option("also make a workspace of the study, with its panels", False)


@dataclass(frozen=True)
class SyncResult:
    """The pushed runs and points.

    Attributes
    ----------
    study : str
    runs, points : int
        Runs with something new, and the new points of their curves.
    has_results : bool
        Whether the results of the study were new.
    uploaded : int
        Folders, written offline earlier, that were uploaded.
    waiting : list of Path
        Folders that wait for an upload.
    command : str or None
        The command that uploads them.
    workspace : Path or None
        The description of the workspace.
    hints : list of str
        Sentences about lost folders and missing reports.
    """

    study: str
    runs: int
    points: int
    has_results: bool
    uploaded: int
    waiting: list[Path]
    command: str | None
    workspace: Path | None
    hints: list[str]

    code = 0

    def as_json(self) -> dict[str, Any]:
        """The counts, and the folders that wait."""
        return vars(self)

    def show(self, screen: Screen) -> None:
        """The number of pushed runs and points, and the command that uploads waiting folders."""
        results = " and the study's results" if self.has_results else ""
        screen.say(f"{self.study}: {self.points} points of {self.runs} runs{results} pushed")
        if self.workspace is not None:
            screen.say(f"workspace: {self.workspace}")
        for hint in self.hints:
            screen.say(hint)
        if self.command is not None:
            folder = self.waiting[0].parent
            screen.say(
                f"{len(self.waiting)} folders wait in {folder}; to upload them:\n"
                f"  {self.command}\n"
                f"or scaling sync study={self.study} mode=online"
            )


def sync(options: SyncOptions, screen: Screen) -> SyncResult:
    """Push what is new of every run of a study; with watch=true until every run has ended.

    Raises
    ------
    ConfigError
        If the mode is unknown or there is no such study.
    MirrorError
        If wandb cannot be reached or refuses; the runs are untouched.
    """
    one_of("mode", options.mode, MODES)
    if not options.seconds > 0:
        raise ConfigError(f"seconds = {options.seconds}: allowed is above 0")
    outputs = options.outputs_path
    plan = read_plan(outputs, options.study)  # a wrong name is refused before wandb is loaded
    # Imported here, because wandb is an extra.
    with needs_extra("a mirror on wandb"):
        from scalinglab.wandb_client import upload_command
        from scalinglab.wandb_mirror import WandbMirror
        from scalinglab.wandb_workspace import study_workspace, write_workspace

        workspace = (
            study_workspace(plan, options.project, options.entity) if options.workspace else None
        )

    folder = Path(options.dir).absolute() if options.dir else outputs / "dashboard"
    runs = points = uploaded = 0
    with WandbMirror(folder, options.project, options.entity, options.mode) as mirror:
        ids = [run_id_of(options.study), *(run.run_id for run in plan.runs)]
        if options.again:
            mirror.forget(ids)
        gone = mirror.gone(ids)
        if options.mode == "online" and (uploaded := mirror.upload()):
            screen.say(f"uploaded {uploaded} folders that were written offline")
        while True:
            pushed = _push(mirror, outputs, options, screen)
            runs, points = runs + pushed.runs, points + pushed.points
            if pushed.is_last or not options.watch:
                break
            if pushed.runs:
                screen.say(f"{options.study}: {pushed.points} points of {pushed.runs} runs")
            time.sleep(options.seconds)
        plan = read_plan(outputs, options.study)
        has_results = mirror.push_study(study_results(outputs, plan, states(plan.runs).values()))
    workspace_file = None
    if workspace is not None:
        path = folder / "workspaces" / f"{options.study}.json"
        workspace_file = write_workspace(workspace, path, is_online=options.mode == "online")
    waiting = mirror.waiting() if options.mode == "offline" else []
    return SyncResult(
        options.study,
        runs,
        points,
        has_results,
        uploaded,
        waiting,
        upload_command(waiting) if waiting else None,
        workspace_file,
        _hints(outputs, plan, gone, folder),
    )


def _hints(outputs: Path, plan: StoredPlan, gone: list[str], folder: Path) -> list[str]:
    command = f"scaling sync {override('study', plan.study.name)}"
    hints = []
    if gone:
        hints.append(
            f"folders of {len(gone)} runs are gone from {folder}/wandb; if they were not uploaded "
            f"before, {command} again=true writes them again"
        )
    if is_outdated(outputs, plan):
        hints.append(
            f"{study_folder(outputs, plan.study.name)} has no report of these runs, or an older one"
            f" (to=FILE writes it elsewhere): scaling report {override('study', plan.study.name)}"
            f" writes it, {command} then adds it"
        )
    return hints


@dataclass(frozen=True)
class _Pushed:
    """The new runs and points of one round, and whether every run has ended."""

    runs: int
    points: int
    is_last: bool


def _push(mirror: WandbMirror, outputs: Path, options: SyncOptions, screen: Screen) -> _Pushed:
    """Push every run of the study once."""
    plan = read_plan(outputs, options.study)
    current = states(plan.runs)
    runs = points = 0
    for run in plan.runs:
        of = InStudy(options.study, ",".join(run.roles), run.varies, plan.study.question)
        try:
            new_points = mirror.push(run.folder, of, current[run.run_id], keep_open=options.watch)
        except DamagedFile as error:
            tell(error, "its run is not pushed")
            continue
        runs, points = runs + bool(new_points), points + new_points
        if new_points and runs % 100 == 0:
            screen.say(f"{runs} runs ...")
    return _Pushed(runs, points, set(current.values()) <= {*ENDED, State.FAILED})
