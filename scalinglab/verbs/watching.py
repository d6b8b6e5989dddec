"""The verbs that look at a study while it runs, and stop it."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from scalinglab.options import option
from scalinglab.scaling.config import ConfigError
from scalinglab.scaling.records.state import State
from scalinglab.verb import Verb, open_console, say

if TYPE_CHECKING:
    from scalinglab.terminal import Screen


WATCH_SECONDS = 3.0
PLAN_SECONDS = 0.5  # between two looks at whether a study is planned
SELECTION = "a state, the beginning of an id, or a condition: 'N > 1e6 and seed == 1'"


@dataclass(frozen=True)
class StatusOptions:
    """Options of ``scaling status``."""

    study: str | None = option("one study; all if not given", None)
    outputs: str = option("the folder of all runs", "outputs")
    runs: str | None = option(f"only these: {SELECTION}", None)
    why: bool = option("failures by cause, each with its last traceback", False)
    watch: bool = option("go on until every run has ended", False)
    forecast: bool = option("what the runs that have not ended will come to", False)


@dataclass(frozen=True)
class LogsOptions:
    """Options of ``scaling logs``."""

    study: str = option("whose runs are shown")
    outputs: str = option("the folder of all runs", "outputs")
    runs: str = option(f"which: {SELECTION}", State.FAILED.value)
    follow: bool = option("go on showing the log of the first", False)


@dataclass(frozen=True)
class CancelOptions:
    """Options of ``scaling cancel``."""

    study: str = option("what is stopped")
    outputs: str = option("the folder of all runs", "outputs")
    runs: str | None = option(f"only these: {SELECTION}", None)


def status_verb(arguments: Sequence[str]) -> int:
    """Show the state of studies: scaling status study=NAME [runs=failed] [--watch].

    The state is derived from the run folders; SLURM is only asked for its queue. --why groups the
    failures by cause, with the last traceback of each. --forecast adds what the runs that have not
    ended will come to (scaling forecast says more).
    """
    from scalinglab.options import read_options
    from scalinglab.sweeps.store.stored_plan import IMPORTED

    options = read_options(StatusOptions, arguments)
    outputs = Path(options.outputs).absolute()
    names, imported = [options.study] if options.study else [], []
    if not options.study:
        names, imported = (
            sorted(p.parent.name for p in outputs.glob(f"studies/*/{file}"))
            for file in ("plan.json", IMPORTED)
        )
    if not names and not imported:
        raise ConfigError(
            f"there is no study in {outputs}; scaling launch study=quickstart trains one"
        )
    console = open_console()
    for name in names:
        if options.why:
            _show_causes(console, outputs, name)
        elif options.watch:
            _watch(console, outputs, name)
        else:
            _show_status(console, outputs, name, options.runs)
            if options.forecast:
                _show_forecasts(console, outputs, name)
    for name in imported:
        say(console, f"{name}: imported; scaling report study={name} reads it")
    return 0


def _show_forecasts(console: Screen, outputs: Path, name: str) -> None:
    from scalinglab.answers.forecast import ForecastOptions, forecast
    from scalinglab.show_forecasts import show_forecasts
    from scalinglab.source import StudySource

    show_forecasts(console, forecast(StudySource(name, outputs), ForecastOptions(keep=False)))


def _show_status(console: Screen, outputs: Path, name: str, runs: str | None) -> None:
    from scalinglab.show import STATUS_OPTIONAL, counts, progress_text, status_frame
    from scalinglab.sweeps.store.select import select
    from scalinglab.sweeps.store.status import status
    from scalinglab.sweeps.store.stored_plan import read_plan
    from scalinglab.sweeps.watch.progress import progress

    found, plan = status(outputs, name), read_plan(outputs, name)
    title = f"{name}: {counts(found['state'])}"
    whole = found
    if runs is not None:
        chosen = {r.folder.run_id for r in select(plan.runs, runs)}
        found = found[found["run_id"].isin(chosen)]
    console.table(status_frame(found), optional=STATUS_OPTIONAL, text="note", title=title)
    if told := progress_text(progress(outputs, name, whole)):
        say(console, told)
    if plan.gone:
        say(
            console,
            f"! the folder of {', '.join(plan.gone[:8])}{' ...' * (len(plan.gone) > 8)} is"
            f" gone; scaling launch study={name} makes it again",
            style="yellow",
        )


def _watch(console: Screen, outputs: Path, name: str) -> None:
    from scalinglab.show import Watch
    from scalinglab.sweeps.launch.announced import is_announced
    from scalinglab.sweeps.store.stored_plan import study_folder
    from scalinglab.sweeps.watch.cancel import open_launches

    def is_planned_first() -> bool:
        """Whether a launch makes the study's first plan: until then there is nothing to show."""
        stored = (study_folder(outputs, name) / "plan.json").exists()
        return not stored and is_announced(outputs, name)

    if is_planned_first():
        say(console, f"{name}: a launch is planning it")
    while is_planned_first():
        time.sleep(PLAN_SECONDS)
    with Watch(console, outputs, name) as watch:
        while is_announced(outputs, name) or open_launches(outputs, name) or watch.runs():
            time.sleep(WATCH_SECONDS)
            watch.tick()
    _show_status(console, outputs, name, None)


def _show_causes(console: Screen, outputs: Path, name: str) -> None:
    from scalinglab.sweeps.launch.remaining import given_up
    from scalinglab.sweeps.watch.causes import causes

    found = causes(outputs, name)
    reasons = given_up(outputs, name)
    if found.empty and not reasons:
        say(console, f"{name}: no failure stands")
    for run_id, why in reasons.items():
        say(console, f"{run_id} waits for the next launch: {why}")
    for row in found.to_dict("records"):
        ids = " ".join(row["runs"][:8]) + (" ..." if len(row["runs"]) > 8 else "")
        say(console, f"{len(row['runs'])} runs, {row['class']}: {row['error']}", style="red")
        say(console, f"  {row['attempts']} attempts on {', '.join(row['nodes'])}: {ids}")
        for line in row["traceback"].splitlines():
            say(console, f"    {line}")


def logs_verb(arguments: Sequence[str]) -> int:
    """Show what attempts did and what their workers said: scaling logs study=NAME runs=k3v9.

    Without runs=... those that failed. --follow goes on showing the log of the first.
    """
    from scalinglab.options import read_options
    from scalinglab.sweeps.store.select import select
    from scalinglab.sweeps.store.state import states
    from scalinglab.sweeps.store.stored_plan import read_plan
    from scalinglab.sweeps.watch.causes import history, log_file

    options = read_options(LogsOptions, arguments)
    outputs = Path(options.outputs).absolute()
    runs, console = read_plan(outputs, options.study).runs, open_console()
    if options.runs == State.FAILED and State.FAILED not in states(runs).values():
        say(
            console,
            f"no run of {options.study} has failed; runs=SELECTION shows others, as runs=done",
        )
        return 0
    chosen = select(runs, options.runs)
    for run in chosen:
        say(console, history(run.folder))
    path = log_file(chosen[0].folder)
    if options.follow and path is not None:
        with path.open(errors="replace") as log:
            log.seek(0, 2)
            while chosen[0].folder.state() == State.RUNNING:
                console.write(log.read())
                time.sleep(0.5)
    return 0


def cancel_verb(arguments: Sequence[str]) -> int:
    """Stop a study, or some of its runs with runs=SELECTION; everything is saved first.

    The next launch goes on with what was cancelled.
    """
    from scalinglab.options import read_options
    from scalinglab.sweeps.watch.cancel import cancel_runs, cancel_study

    options = read_options(CancelOptions, arguments)
    outputs = Path(options.outputs).absolute()
    if options.runs is None:
        said = cancel_study(outputs, options.study)
    else:
        said = cancel_runs(outputs, options.study, options.runs)
    say(open_console(), "\n".join(said or ["there is nothing to cancel"]))
    return 0


VERBS = {
    "status": Verb(
        "show the state of studies, --watch them, or --why runs failed",
        "scaling status [study=NAME] [runs=SELECTION] [--watch] [--why] [--forecast]",
        status_verb,
        StatusOptions,
    ),
    "logs": Verb(
        "show what the attempts at some runs did and said",
        "scaling logs study=NAME [runs=SELECTION] [--follow]",
        logs_verb,
        LogsOptions,
    ),
    "cancel": Verb(
        "stop a study or some of its runs; everything is saved",
        "scaling cancel study=NAME [runs=SELECTION]",
        cancel_verb,
        CancelOptions,
    ),
}
