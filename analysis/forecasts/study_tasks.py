"""Predictions of the tasks of a study's larger runs, from runs that were trained and probed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from scalinglab.analysis.fitting.task_chains import TaskChains, task_chains
from scalinglab.analysis.tables.curves import load_curves
from scalinglab.analysis.tables.runs import load
from scalinglab.analysis.tables.study_runs import require, study_plan, with_role
from scalinglab.analysis.tables.task_columns import probe_command, task_column, task_points
from scalinglab.scaling.errors import UserError
from scalinglab.scaling.model.stated import size
from scalinglab.scaling.records.run_folder import RunFolder
from scalinglab.scaling.records.state import State

HELD_OUT = "held_out"
_VALIDATION = "probe.validation.loss"


@dataclass(frozen=True)
class StudyTasks:
    """The chains of laws of a study's tasks, and the runs that they predict.

    Attributes
    ----------
    chains : TaskChains
    targets : DataFrame
        The held-out runs, trained or not: ``run_id, N, D, steps, state``.
    measured : DataFrame
        ``task, run_id, measured_loss, measured_accuracy`` of those that were probed.
    columns : dict of str to str
        Task -> the column of its loss.
    """

    chains: TaskChains
    targets: pd.DataFrame
    measured: pd.DataFrame
    columns: dict[str, str]

    def at_targets(self, level: float | None = None) -> pd.DataFrame:
        """The prediction for each task and held-out run, beside the measurement."""
        table = self.chains.predict(self.targets, level)
        return table.merge(self.measured, how="left", on=["task", "run_id"])


def study_tasks(
    outputs: str | Path,
    study: str,
    tasks: Sequence[str],
    *,
    task_loss: str = "bpb",
    accuracy: str = "accuracy",
    **options: Any,
) -> StudyTasks:
    """Fit the chain of each task to the runs of a study that are not held out.

    The surface of the first step is fitted to the ends of runs, the sigmoid of the second to all
    steps that were probed (``steps=all``).

    Parameters
    ----------
    outputs, study
        Where the study lies.
    tasks : sequence of str
        As in columns: ``addition_2``, or the name of a file of items.
    task_loss, accuracy : str
        Numbers of the probe ``tasks``.
    **options
        Of `analysis.task_chain`.

    Raises
    ------
    UserError
        If no run is finished, a task was not probed (naming the command), or none can be fitted.
    """
    runs = require(load(outputs, study=study), outputs, study)
    runs = runs[runs["status"] == State.DONE]
    numbers = {"loss": task_loss, "accuracy": accuracy}
    columns = {
        task: task_column(runs, task, task_loss, probe_command(task, study)) for task in tasks
    }
    curves = load_curves(outputs, study=study)
    models, checkpoints, measured = {}, {}, []
    for task in tasks:
        points = task_points(runs, task, **numbers, study=study)
        test = with_role(points, HELD_OUT)
        models[task] = points.drop(test.index).reset_index(drop=True)
        if models[task].empty:
            raise UserError(
                f"task {task!r}: only held-out runs were probed; the chain is fitted to the others:"
                f" leave out runs= of scaling probe"
            )
        checkpoints[task] = pairs_of(curves, task, models[task], **numbers)
        measured.append(
            pd.DataFrame(
                {
                    "task": task,
                    "run_id": test["run_id"],
                    "measured_loss": test["task_loss"],
                    "measured_accuracy": test["accuracy"],
                }
            )
        )
    chains = task_chains(models, checkpoints, **options)
    return StudyTasks(chains, held_out_runs(outputs, study), pd.concat(measured), columns)


def pairs_of(
    curves: pd.DataFrame | None, task: str, models: pd.DataFrame, loss: str, accuracy: str
) -> pd.DataFrame:
    """Loss and accuracy at every probed step of some runs; else at their ends.

    If training did not measure the validation loss at a step, that of the probe ``validation``
    counts.
    """
    ends = models[["run_id", "N", "cluster", "loss", "task_loss", "accuracy"]]
    if curves is None or curves.empty:
        return ends
    own_curves = curves[curves["run"].isin(models["run_id"])]
    try:
        points = task_points(own_curves, task, loss, accuracy)
    except UserError:  # asked of the ends alone
        return ends
    points = points.rename(columns={"run": "run_id"})
    if _VALIDATION in points:
        points["loss"] = points["loss"].fillna(points[_VALIDATION])
    if len(points) < len(ends):
        return ends
    # Runs that share a prefix share its checkpoints: each counts once.
    points = points.drop_duplicates(["cluster", "step", "loss", "task_loss", "accuracy"])
    return points[[*ends.columns, "step"]].reset_index(drop=True)


def held_out_runs(outputs: str | Path, study: str) -> pd.DataFrame:
    """The held-out runs of a study, trained or not: ``run_id, N, D, steps, state``."""
    rows = []
    for entry in study_plan(outputs, study).runs:
        folder = RunFolder(Path(outputs) / "runs" / entry.run_id)
        if HELD_OUT in entry.roles and folder.exists():
            spec = folder.spec()
            tokens = float(spec.steps * spec.tokens_per_step)
            row = {"run_id": entry.run_id, "N": float(size(spec.counts)), "D": tokens}
            rows.append(row | {"steps": spec.steps, "state": folder.state()})
    return pd.DataFrame(rows, columns=["run_id", "N", "D", "steps", "state"])


def predictions_of(tasks: StudyTasks, table: pd.DataFrame) -> pd.DataFrame:
    """Forecasts of the losses of unfinished runs, from `StudyTasks.at_targets`, for the record."""
    if "task_loss_lower" not in table:
        return table.iloc[:0]
    ahead = table[~table["state"].isin([State.DONE, State.DIVERGED, State.STOPPED])]
    return pd.DataFrame(
        {
            **{name: ahead[name] for name in ("run_id", "N", "D", "steps", "beyond")},
            "step": 0,
            "law": "task_chain",
            "column": ahead["task"].map(tasks.columns),
            "loss": ahead["task_loss"].astype(float),
            "lower": np.asarray(ahead["task_loss_lower"], float),
            "upper": np.asarray(ahead["task_loss_upper"], float),
        }
    )
