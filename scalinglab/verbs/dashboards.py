"""The verb that copies a study to wandb."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from scalinglab.options import option
from scalinglab.scaling.config import ConfigError, one_of
from scalinglab.scaling.records.state import FINISHED, State
from scalinglab.verb import Verb, open_console, say

if TYPE_CHECKING:
    from scalinglab.dashboard import Dashboard
    from scalinglab.terminal import Screen


@dataclass(frozen=True)
class SyncOptions:
    """Options of ``scaling sync``."""

    study: str = option("whose runs are pushed")
    mode: str = option("offline (folders to upload later) or online", "offline")
    watch: bool = option("go on until every run has ended", False)
    seconds: float = option("between two looks of a watch", 30.0)
    project: str = option("of wandb", "scaling")
    entity: str | None = option("of wandb: a user or a team", None)
    dir: str | None = option("where wandb writes; OUTPUTS/dashboard if not given", None)
    outputs: str = option("the folder of all runs", "outputs")


def sync_verb(arguments: Sequence[str]) -> int:
    """Push the runs of a study to wandb, from their records: only what is new is pushed.

    mode=offline writes folders and says how to upload them; mode=online uploads those first.
    watch=true stays and pushes the progress of running runs. May be stopped and given again.
    """
    from scalinglab.options import read_options
    from scalinglab.sweeps.store.stored_plan import read_plan

    options = read_options(SyncOptions, arguments)
    one_of("mode", options.mode, ("offline", "online"))
    if not options.seconds > 0:
        raise ConfigError(f"seconds = {options.seconds}: allowed is above 0")
    outputs = Path(options.outputs).absolute()
    read_plan(outputs, options.study)  # a wrong name is said before wandb is loaded
    from scalinglab.dashboard import Dashboard, upload_command

    console = open_console()
    folder = Path(options.dir).absolute() if options.dir else outputs / "dashboard"
    with Dashboard(folder, options.project, options.entity, options.mode) as dashboard:
        if options.mode == "online" and (uploaded := dashboard.upload()):
            say(console, f"uploaded {uploaded} folders that were written offline")
        while _push(console, dashboard, outputs, options) and options.watch:
            time.sleep(options.seconds)
    if options.mode == "offline" and (waiting := dashboard.waiting()):
        say(
            console,
            f"{len(waiting)} folders wait in {folder}/wandb; to upload them:\n"
            f"  {upload_command(waiting)}\n"
            f"or scaling sync study={options.study} mode=online",
        )
    return 0


def _push(console: Screen, dashboard: Dashboard, outputs: Path, options: SyncOptions) -> bool:
    """Push what is new of every run; whether more is to come."""
    from scalinglab.scaling.records.damage import DamagedFile, tell
    from scalinglab.sweeps.store.state import states
    from scalinglab.sweeps.store.stored_plan import read_plan

    plan = read_plan(outputs, options.study)
    current = states(plan.runs)
    runs = points = 0
    for run in plan.runs:
        state = current[run.folder.run_id]
        try:
            pushed = dashboard.push(
                run.folder, options.study, ",".join(run.roles), state, keep_open=options.watch
            )
        except DamagedFile as error:
            tell(error, "its run is not pushed")
            continue
        runs, points = runs + bool(pushed), points + pushed
        if pushed and runs % 100 == 0:
            say(console, f"{runs} runs ...")
    if runs or not options.watch:
        say(console, f"{options.study}: {points} points of {runs} runs pushed")
    return not set(current.values()) <= {*FINISHED, State.FAILED}


VERBS = {
    "sync": Verb(
        "push a study to wandb, again at any time",
        "scaling sync study=NAME [mode=offline|online] [watch=true] [project=scaling]",
        sync_verb,
        SyncOptions,
    ),
}
