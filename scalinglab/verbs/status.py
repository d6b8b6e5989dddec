"""``scaling status``: how far studies are, and why runs failed."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any

import pandas as pd

from scalinglab.launched_study import LaunchedStudy
from scalinglab.options import SELECTION, OutputsOptions, option
from scalinglab.scaling.errors import ConfigError
from scalinglab.scaling.records.planning import Planner, first_plans
from scalinglab.scaling.text.printable import excerpt
from scalinglab.scaling.text.shell import override
from scalinglab.show import STATUS_OPTIONAL, counts, progress_text, show_runs, status_frame
from scalinglab.sweeps.store.probe_status import probe_status
from scalinglab.sweeps.store.select import select
from scalinglab.sweeps.store.stored_plan import IMPORTED
from scalinglab.sweeps.watch.progress import Progress
from scalinglab.terminal import Screen
from scalinglab.verb import INTERRUPTED, Verb

if TYPE_CHECKING:
    from scalinglab.verbs.forecast import ForecastResult


@dataclass(frozen=True, kw_only=True)
class StatusOptions(OutputsOptions):
    """Options of ``scaling status``."""

    study: str | None = option("one study; all if not given", None)
    runs: str | None = option(f"only these runs: {SELECTION}", None)
    why: bool = option("failures by cause, each with its last traceback", False)
    watch: bool = option("go on until every run has ended; Ctrl-C ends the view alone", False)
    forecast: bool = option("forecasts of the runs that have not ended", False)


@dataclass(frozen=True)
class StudyStatus:
    """The present state of one study.

    Attributes
    ----------
    name : str
    all_runs : DataFrame
        One row a run.
    runs : DataFrame
        The selected rows.
    progress : Progress
    gone : tuple of str
        Runs whose folder was removed.
    forecasts : ForecastResult or None
        Forecasts of the runs that have not ended, with ``forecast=true``.
    probes : DataFrame
        What was asked of its checkpoints: `scalinglab.sweeps.store.probe_status`.
    """

    name: str
    all_runs: pd.DataFrame
    runs: pd.DataFrame
    progress: Progress
    gone: tuple[str, ...]
    forecasts: ForecastResult | None = None
    probes: pd.DataFrame = field(default_factory=pd.DataFrame)

    def as_json(self) -> dict[str, Any]:
        """The table, how many runs are in each state, and the progress."""
        states = self.all_runs["state"].value_counts()
        forecasts = {} if self.forecasts is None else {"forecasts": self.forecasts.answer.table}
        return {
            "study": self.name,
            "states": {str(state): int(count) for state, count in states.items()},
            "runs": self.runs,
            "progress": asdict(self.progress),
            "gone": self.gone,
            **forecasts,
            **({"probes": self.probes} if len(self.probes) else {}),
        }

    def show(self, screen: Screen) -> None:
        """A row a run, and the progress."""
        show_runs(
            screen,
            status_frame(self.runs),
            self.runs["varies"],
            optional=STATUS_OPTIONAL,
            text="note",
            title=f"{self.name}: {counts(self.all_runs['state'])}",
        )
        if text := progress_text(self.progress):
            screen.say(text)
        for line in self._probe_lines():
            screen.say(line)
        if self.gone:
            screen.say(
                f"! the folder of {', '.join(self.gone[:8])}{' ...' * (len(self.gone) > 8)} is"
                f" gone; scaling launch study={self.name} makes it again",
                style="yellow",
            )
        if self.forecasts is not None:
            self.forecasts.show(screen)

    def _probe_lines(self) -> Iterator[str]:
        """A line a question: how far it is, and what ended it."""
        for row in self.probes.to_dict("records"):
            options = f" ({row['options']})" if row["options"] else ""
            line = f"probe {row['probe']}{options}: {row['found']} of {row['asked']} checkpoints"
            if row["running"]:
                line += f", {_runs(row['running'])} being read"
            if row["failed"]:
                again = f"scaling probe {override('study', self.name)} probe={row['probe']}"
                line += (
                    f", {_runs(row['failed'])} failed: {excerpt(row['error'])}; {again} tries"
                    " again, with withdraw=true it is asked no longer"
                )
            yield line


def _runs(count: int) -> str:
    return f"{count} run{'s' * (count != 1)}"


@dataclass(frozen=True)
class StudyCauses:
    """Why runs of one study failed.

    Attributes
    ----------
    name : str
    causes : DataFrame
        One row a cause, the most frequent first.
    given_up : dict
        run_id -> why the latest launch does not retry it.
    """

    name: str
    causes: pd.DataFrame
    given_up: dict[str, str]

    def as_json(self) -> dict[str, Any]:
        """The causes, and the runs that wait for the next launch."""
        return {"study": self.name, "causes": self.causes, "given_up": self.given_up}

    def show(self, screen: Screen) -> None:
        """Each cause with its runs and its last traceback."""
        if self.causes.empty and not self.given_up:
            screen.say(f"{self.name}: no run has failed")
        for run_id, why in self.given_up.items():
            screen.say(f"{run_id} waits for the next launch: {why}")
        for row in self.causes.to_dict("records"):
            ids = " ".join(row["runs"][:8]) + (" ..." if len(row["runs"]) > 8 else "")
            screen.say(f"{len(row['runs'])} runs, {row['class']}: {row['error']}", style="red")
            screen.say(f"  {row['attempts']} attempts on {', '.join(row['nodes'])}: {ids}")
            for line in row["traceback"].splitlines():
                screen.say(f"    {line}")


@dataclass(frozen=True)
class StatusResult:
    """The present state of studies, and the names of imported ones, which train nothing.

    Attributes
    ----------
    studies : sequence of StudyStatus or StudyCauses
    imported : sequence of str
    planning : mapping of str to Planner
        Studies whose first plan is being made, and by which process.
    interrupted : bool
        Whether Ctrl-C ended the watching, so that a command after this one does not begin.
    """

    studies: Sequence[StudyStatus | StudyCauses]
    imported: Sequence[str] = field(default=())
    planning: Mapping[str, Planner] = field(default_factory=dict)
    interrupted: bool = False

    @property
    def code(self) -> int:
        """0, or that of an interrupt."""
        return INTERRUPTED if self.interrupted else 0

    def as_json(self) -> dict[str, Any]:
        """An object a study."""
        studies = [study.as_json() for study in self.studies]
        planning = [
            {"study": name, "pid": p.process.pid, "host": p.process.host, "began": p.began}
            for name, p in self.planning.items()
        ]
        return {"studies": studies, "imported": self.imported, "planning": planning}

    def show(self, screen: Screen) -> None:
        """One study after another."""
        for study in self.studies:
            study.show(screen)
        for name in self.imported:
            screen.say(f"{name}: imported; scaling report study={name} reads it")
        for name, planner in self.planning.items():
            screen.say(
                f"{name}: being planned {planner}; its runs are shown once the plan is stored"
            )


def run(options: StatusOptions, screen: Screen) -> StatusResult:
    """Show the state of studies: scaling status study=NAME [runs=failed] [--watch].

    The state is derived from the run folders; SLURM is only asked for its queue. The loss is the
    final validation loss of a run that is done, and the latest training loss of any other. --why
    groups the failures by cause, with the last traceback of each. --forecast adds forecasts of the
    runs that have not ended (scaling forecast says more).
    """
    if options.watch and options.json:
        raise ConfigError("watch=true shows a study while it trains; --json needs watch=false")
    outputs = options.outputs_path
    names, imported, planning = _names(options)
    studies = [LaunchedStudy(name, outputs, screen=screen) for name in names]
    if options.why:
        causes = [StudyCauses(s.name, s.causes(), s.given_up()) for s in studies]
        return StatusResult(causes, imported, planning)
    interrupted = options.watch and not _watched(studies, screen)
    shown = [_status(study, options) for study in studies]
    return StatusResult(shown, imported, planning, interrupted)


def _watched(studies: Sequence[LaunchedStudy], screen: Screen) -> bool:
    """Whether all runs were watched to their end."""
    try:
        for study in studies:
            study.watch()
    except KeyboardInterrupt:  # ends the view; a launch is another process
        screen.say("no longer watching; a launch elsewhere goes on")
        return False
    return True


def _names(options: StatusOptions) -> tuple[list[str], list[str], dict[str, Planner]]:
    """The names of the studies to show, of imported ones, and those that are being planned."""
    outputs = options.outputs_path
    planning = first_plans(outputs)
    if options.study:
        if options.study in planning and not options.watch:
            return [], [], {options.study: planning[options.study]}
        return [options.study], [], {}
    names, imported = (
        sorted(p.parent.name for p in outputs.glob(f"studies/*/{file}"))
        for file in ("plan.json", IMPORTED)
    )
    if not names and not imported and not planning:
        raise ConfigError(
            f"there is no study in {outputs}; scaling launch study=quickstart trains one"
        )
    return names, imported, planning


def _status(study: LaunchedStudy, options: StatusOptions) -> StudyStatus:
    all_runs, plan = study.status(), study.stored_plan()
    runs = all_runs
    if options.runs is not None:
        selected = {r.run_id for r in select(plan.runs, options.runs)}
        runs = all_runs[all_runs["run_id"].isin(selected)]
    forecasts = _forecasts(study) if options.forecast else None
    return StudyStatus(
        study.name,
        all_runs,
        runs,
        study.progress(all_runs),
        plan.gone,
        forecasts,
        probe_status(study.outputs, study.name),
    )


def _forecasts(study: LaunchedStudy) -> ForecastResult:
    """The answer of ``scaling forecast keep=false``."""
    # Imported here, because most calls ask for no forecast, and laws take long to import.
    from scalinglab.verbs import forecast

    options = forecast.ForecastVerbOptions(study=study.name, outputs=str(study.outputs), keep=False)
    return forecast.forecasts(options)


VERB = Verb(
    "show the state of studies, --watch them, or --why runs failed",
    "scaling status [study=NAME] [runs=SELECTION] [--watch] [--why] [--forecast]",
    run,
    StatusOptions,
)
