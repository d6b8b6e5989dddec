"""Accuracies of planned models on many tasks, from those of models that were trained."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pandas as pd

from scalinglab import analysis
from scalinglab.analysis.default_laws import LAW
from scalinglab.analysis.forecasts import track
from scalinglab.analysis.forecasts.study_tasks import predictions_of
from scalinglab.analysis.laws.parameter import NO_PRIORS
from scalinglab.analysis.shown import Overview, Shown
from scalinglab.analysis.tables.numbers import numbers_in
from scalinglab.analysis.tables.typed import names_of
from scalinglab.options import LEVEL, RESAMPLES, SEED, option
from scalinglab.scaling.errors import ConfigError
from scalinglab.scaling.fields import ABOVE_0
from scalinglab.source import FileSource, Source, StudySource

if TYPE_CHECKING:
    from scalinglab.analysis.fitting.task_chains import TaskChains

_TASK = "{task}"
_LOSS, _ACCURACY = f"{_TASK}_loss", f"{_TASK}_accuracy"


@dataclass(frozen=True, kw_only=True)
class OfTasks:
    """Which tasks of which models, and where their measurements stand."""

    tasks: list[str] = option(
        "tasks whose accuracy is forecast, by a chain of laws: of a file of finished models, as in"
        " tasks=[mmlu,arc]; of a study as it was probed, as in tasks=[addition_2]",
        [],
    )
    N: list[float] = option(
        "with tasks: parameters of the planned models; in a study its held-out runs", [], ABOVE_0
    )
    D: list[float] = option("with tasks: training tokens of each", [], ABOVE_0)
    columns: dict[str, str | float] = option(
        "of a file its columns: columns.N=params columns.D=tokens; of a study columns.loss=NAME"
        " takes another measured column as the loss: loss.STORE, probe.average.loss",
        {},
    )
    task_loss: str | None = option(
        f"with tasks: a task's loss: of a file the column, {_LOSS}; of a study the number, bpb",
        None,
    )
    accuracy: str | None = option(
        f"with tasks: a task's accuracy: of a file the column, {_ACCURACY}; of a study the number,"
        " accuracy",
        None,
    )
    priors: str = option(
        "with tasks: law: with what is known beforehand of the exponents; none: without",
        "law",
        among=("law", NO_PRIORS),
    )


@dataclass(frozen=True, kw_only=True)
class TaskOptions(OfTasks):
    """Options of a forecast of tasks."""

    level: float = option("confidence level of the intervals", 0.95, LEVEL)
    resamples: int = option("bootstrap refits for the intervals; 0: no intervals", 1000, RESAMPLES)
    seed: int = option("bootstrap seed", 0, SEED)


@dataclass(frozen=True, repr=False)
class TaskForecasts(Shown):
    """Accuracies of planned models.

    Attributes
    ----------
    chains : TaskChains
    table : DataFrame
        One row a task and model: ``task, N, D, task_loss, accuracy, inside, beyond`` and, with
        intervals, ``task_loss_lower, task_loss_upper, lower, upper``. Of held-out runs of a study
        also ``run_id, state, measured_loss, measured_accuracy``.
    """

    chains: TaskChains
    table: pd.DataFrame

    @property
    def shown(self) -> Overview:
        """As `Shown`: a row a task and model, and tasks that cannot be fitted."""
        ends = {"lower": "accuracy_lower", "upper": "accuracy_upper"}
        refused = [f"{task} cannot be fitted: {why}" for task, why in self.chains.refused.items()]
        return Overview(
            "Forecast accuracies",
            {"": self.table.rename(columns=ends)},
            warnings=(*refused, *self.chains.warnings),
        )


def forecast_tasks(source: Source, asked: TaskOptions, keep: bool = True) -> TaskForecasts:
    """Fit the two steps of every task and ask them for planned models.

    Of a study the losses of held-out runs that have not ended are kept for the track record.

    Raises
    ------
    UserError
        If nothing is planned, a column is missing, or no task can be fitted.
    """
    if not asked.tasks:
        raise ConfigError("tasks is not set; name some, as in tasks=[mmlu,arc]")
    if len(asked.N) != len(asked.D):
        raise ConfigError(
            f"N = {asked.N} and D = {asked.D}: give one D for each N, as in N=[7e9] D=[4e12]"
        )
    level = asked.level if asked.resamples else None
    how: dict[str, Any] = {
        "resamples": asked.resamples,
        "seed": asked.seed,
        "level": asked.level,
        "priors": NO_PRIORS if asked.priors == NO_PRIORS else {},
    }
    planned = pd.DataFrame({"N": asked.N, "D": asked.D})
    if isinstance(source, StudySource):
        return _of_study(source, asked, planned, level, keep, how)
    assert isinstance(source, FileSource)
    if planned.empty:
        raise ConfigError("N and D are not set: give one D for each N, as in N=[7e9] D=[4e12]")
    for name, column in (("task_loss", asked.task_loss), ("accuracy", asked.accuracy)):
        if column is not None and _TASK not in column and len(asked.tasks) > 1:
            raise ConfigError(
                f"{name} = {column!r} is one column of {len(asked.tasks)} tasks:"
                f" {_TASK} stands for the task, as in {name}='{_TASK}_{name}'"
            )
    models = {task: _models(source, task, asked) for task in asked.tasks}
    chains = analysis.task_chains(models, **how)
    return TaskForecasts(chains, chains.predict(planned, level))


def _of_study(
    source: StudySource,
    asked: TaskOptions,
    planned: pd.DataFrame,
    level: float | None,
    keep: bool,
    how: Mapping[str, Any],
) -> TaskForecasts:
    """Of a study: at the models that are named, else at its held-out runs."""
    if asked.columns:
        raise ConfigError("columns does not go with tasks of a study: task_loss= names the number")
    names = {"task_loss": asked.task_loss, "accuracy": asked.accuracy}
    numbers = {name: value for name, value in names.items() if value is not None}
    found = analysis.study_tasks(source.outputs, source.name, asked.tasks, **numbers, **how)
    if len(planned):
        return TaskForecasts(found.chains, found.chains.predict(planned, level))
    if found.targets.empty:
        raise ConfigError(
            f"study {source.name!r} holds no run out: N=[...] D=[...] say which models are meant"
        )
    table = found.at_targets(level)
    if keep:
        track.remember(source.outputs, source.name, predictions_of(found, table), asked.level)
    return TaskForecasts(found.chains, table.drop(columns=["steps"]))


def _models(source: FileSource, task: str, asked: TaskOptions) -> pd.DataFrame:
    """The models of a task: ``N, D, task_loss, accuracy``."""
    loss = (asked.task_loss or _LOSS).replace(_TASK, task)
    accuracy = (asked.accuracy or _ACCURACY).replace(_TASK, task)
    # A task's loss may be in any unit, most often bits per byte: it is taken as it stands.
    columns = {**asked.columns, "loss": loss}
    table = analysis.read_table(source.path, LAW, columns=columns, unit="nats")
    if accuracy not in table:
        raise ConfigError(
            f"accuracy = {asked.accuracy or _ACCURACY!r}: {source.path} has no column {accuracy!r};"
            f" it has {', '.join(names_of(table))}"
        )
    found = table[["N", "D"]].assign(task_loss=table["loss"], accuracy=numbers_in(table, accuracy))
    return found.dropna()
