"""``scaling forecast``: final losses of runs that have not ended, accuracies of planned models."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Any

from scalinglab.analysis.tables.interval_text import with_intervals
from scalinglab.answers.forecast import (
    ForecastOptions,
    Forecasts,
    forecast,
    forecast_file,
    take_up,
)
from scalinglab.answers.tasks import OfTasks, TaskForecasts, TaskOptions, forecast_tasks
from scalinglab.options import option
from scalinglab.scaling.errors import ConfigError
from scalinglab.show_forecasts import show_forecasts
from scalinglab.source import FileSource, SourceOptions, StudySource
from scalinglab.terminal import Screen
from scalinglab.verb import Verb


@dataclass(frozen=True, kw_only=True)
class ForecastVerbOptions(SourceOptions, OfTasks, ForecastOptions):
    """Options of ``scaling forecast``."""

    unit: str | None = option(
        "of a file of curves, the unit of its losses: nats, bits, bits_per_byte or perplexity", None
    )
    take_up: str | None = option("a selection of stopped runs that may be trained after all", None)


@dataclass(frozen=True)
class ForecastResult:
    """Forecasts, and the runs that were stopped by them."""

    answer: Forecasts
    code = 0

    def as_json(self) -> dict[str, Any]:
        """One entry a run that has not ended."""
        return {
            "forecasts": self.answer.table,
            "inflation": self.answer.calibration_factor,
            **({} if self.answer.column == "loss" else {"column": self.answer.column}),
            "kept": self.answer.kept,
            "stopped": self.answer.stopped_lines(),
        }

    def show(self, screen: Screen) -> None:
        """A row a run, how many forecasts were kept, and which runs were stopped."""
        forecasts = self.answer
        show_forecasts(screen, forecasts)
        if forecasts.kept:
            screen.say(
                f"{forecasts.kept} forecasts were kept; scaling track shows how they come out"
            )
        for line in forecasts.stopped_lines():
            screen.say(line)
        if forecasts.stopped is not None and forecasts.stopped.empty:
            screen.say("no run is stopped: each may still become the best at its N and D")


@dataclass(frozen=True)
class TakenUp:
    """Runs that were stopped and may be trained again."""

    runs: list[str]
    code = 0

    def as_json(self) -> dict[str, Any]:
        """Their ids."""
        return {"taken_up": self.runs}

    def show(self, screen: Screen) -> None:
        """A line a run."""
        for run_id in self.runs:
            screen.say(f"{run_id} may be trained again")
        if not self.runs:
            screen.say("no selected run was stopped")


@dataclass(frozen=True)
class TaskResult:
    """Accuracies of planned models on some tasks."""

    answer: TaskForecasts
    code = 0

    def as_json(self) -> dict[str, Any]:
        """One entry a task and model."""
        chains = self.answer.chains
        return {
            "forecasts": self.answer.table,
            "refused": chains.refused,
            "warnings": chains.warnings,
        }

    def show(self, screen: Screen) -> None:
        """A row a task and model, tasks that cannot be fitted, and what to doubt."""
        table = self.answer.table.rename(
            columns={"lower": "accuracy_lower", "upper": "accuracy_upper"}
        )
        screen.table(with_intervals(table))
        chains = self.answer.chains
        for task, why in chains.refused.items():
            screen.say(f"! {task} cannot be fitted: {why}", style="yellow")
        for warning in chains.warnings:
            screen.say(f"! {warning}", style="yellow")


def run(options: ForecastVerbOptions, screen: Screen) -> ForecastResult | TakenUp | TaskResult:
    """Forecast the final losses of runs that have not ended: scaling forecast study=NAME.

    Uses the law of curves, the rest of each run's schedule and the part of its curve that is
    measured. The forecasts are kept, and judged when their runs have ended: scaling track.

    stop=true also stops the runs that cannot become the best at their N and D any more
    (margin=0.01: by at least 1 % of the loss): they are recorded as stopped, launches skip them,
    and fits count them as censored. take_up=SELECTION reverses that.

    data=models.csv tasks=[mmlu,arc] N=[7e9] D=[4e12] forecasts what planned models will reach on
    tasks: from the columns N, D and, of each task, mmlu_loss and mmlu_accuracy (task_loss= and
    accuracy= say otherwise), by laws of the loss in N and D and of the accuracy in that loss.

    columns.loss=probe.average.loss (or any measured column) is forecast in place of the loss, at
    the steps where it was measured. data=curves.csv forecasts the runs of a file of curves whose
    last rows have a learning rate and no loss yet.

    study=NAME tasks=[addition_2] does so from the runs of a study that scaling probe measured, for
    its held-out runs or for N=[...] D=[...].
    """
    source = options.source
    if options.tasks and (options.stop or options.law or options.take_up):
        raise ConfigError("tasks does not go with law, stop and take_up: these are of the loss")
    if isinstance(source, FileSource) and not options.tasks and not options.N:
        return ForecastResult(forecast_file(source, options, options.unit))
    if options.tasks or isinstance(source, FileSource):
        shared = {f.name: getattr(options, f.name) for f in fields(TaskOptions)}
        return TaskResult(forecast_tasks(source, TaskOptions(**shared), options.keep))
    assert isinstance(source, StudySource)
    if options.take_up is not None:
        return TakenUp(take_up(source, options.take_up))
    return ForecastResult(forecast(source, options))


def forecasts(options: ForecastVerbOptions) -> ForecastResult:
    """Forecast the runs of a study that have not ended."""
    assert isinstance(options.source, StudySource)
    return ForecastResult(forecast(options.source, options))


VERB = Verb(
    "forecast the final losses of runs that have not ended, or accuracies on tasks",
    "scaling forecast study=NAME [stop=true] | study=NAME columns.loss=NAME |"
    " study=NAME tasks=[A] | data=FILE tasks=[A,B] N=[...] D=[...]",
    run,
    ForecastVerbOptions,
    shows_bar=True,
)
