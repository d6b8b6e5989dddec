"""Accuracies of planned models on many tasks, from those of models that were trained."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import pandas as pd

from scalinglab import analysis
from scalinglab.analysis.default_laws import LAW
from scalinglab.analysis.laws.parameter import NO_PRIORS
from scalinglab.analysis.tables.numbers import numbers_in
from scalinglab.analysis.tables.typed import names_of
from scalinglab.options import LEVEL, RESAMPLES, SEED, option
from scalinglab.scaling.config import ConfigError
from scalinglab.scaling.fields import ABOVE_0
from scalinglab.source import FileSource

if TYPE_CHECKING:
    from scalinglab.analysis.fitting.task_chains import TaskChains

_TASK = "{task}"


@dataclass(frozen=True, kw_only=True)
class OfTasks:
    """Which tasks of which models, and where their measurements stand."""

    tasks: list[str] = option("tasks of a file of finished models, as in tasks=[mmlu,arc]", [])
    N: list[float] = option("with tasks: parameters of the planned models", [], ABOVE_0)
    D: list[float] = option("with tasks: training tokens of each", [], ABOVE_0)
    columns: dict[str, str | float] = option(
        "with tasks: columns of the file, columns.N=params columns.D=tokens", {}
    )
    task_loss: str = option("with tasks: the column of a task's loss", f"{_TASK}_loss")
    accuracy: str = option("with tasks: the column of a task's accuracy", f"{_TASK}_accuracy")
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


@dataclass(frozen=True)
class TaskForecasts:
    """Accuracies of planned models.

    Attributes
    ----------
    chains : TaskChains
    table : DataFrame
        One row a task and model: ``task, N, D, task_loss, accuracy, inside, beyond`` and, with
        intervals, ``task_loss_lower, task_loss_upper, lower, upper``.
    """

    chains: TaskChains
    table: pd.DataFrame


def forecast_tasks(source: FileSource, asked: TaskOptions) -> TaskForecasts:
    """Fit the two steps of every task and ask them for planned models.

    Raises
    ------
    UserError
        If nothing is planned, a column is missing, or no task can be fitted.
    """
    if not asked.tasks:
        raise ConfigError("tasks is not set; name some, as in tasks=[mmlu,arc]")
    if not asked.N or len(asked.N) != len(asked.D):
        raise ConfigError(
            f"N = {asked.N} and D = {asked.D}: give one D for each N, as in N=[7e9] D=[4e12]"
        )
    for name in ("task_loss", "accuracy"):
        if _TASK not in getattr(asked, name) and len(asked.tasks) > 1:
            raise ConfigError(
                f"{name} = {getattr(asked, name)!r} is one column of {len(asked.tasks)} tasks:"
                f" {_TASK} stands for the task, as in {name}='{_TASK}_{name}'"
            )
    chains = analysis.task_chains(
        {task: _models(source, task, asked) for task in asked.tasks},
        resamples=asked.resamples,
        seed=asked.seed,
        level=asked.level,
        priors=NO_PRIORS if asked.priors == NO_PRIORS else {},
    )
    planned = pd.DataFrame({"N": asked.N, "D": asked.D})
    return TaskForecasts(chains, chains.predict(planned, asked.level if asked.resamples else None))


def _models(source: FileSource, task: str, asked: TaskOptions) -> pd.DataFrame:
    """The models of a task: ``N, D, task_loss, accuracy``."""
    loss, accuracy = (
        getattr(asked, name).replace(_TASK, task) for name in ("task_loss", "accuracy")
    )
    # A task's loss may be in any unit, most often bits per byte: it is taken as it stands.
    columns = {**asked.columns, "loss": loss}
    table = analysis.read_table(source.path, LAW, columns=columns, unit="nats")
    if accuracy not in table:
        raise ConfigError(
            f"accuracy = {asked.accuracy!r}: {source.path} has no column {accuracy!r}; it has"
            f" {', '.join(names_of(table))}"
        )
    found = table[["N", "D"]].assign(task_loss=table["loss"], accuracy=numbers_in(table, accuracy))
    return found.dropna()
