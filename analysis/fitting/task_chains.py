"""Many tasks of the same models: a chain of laws each, asked for together."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

import pandas as pd

from scalinglab.analysis.fitting.lockstep import in_lockstep
from scalinglab.analysis.fitting.task_chain import TaskChain, task_chain
from scalinglab.scaling.errors import UserError

_NONE: Mapping = {}


@dataclass(frozen=True)
class TaskChains:
    """The chains of several tasks.

    Attributes
    ----------
    chains : dict of str to TaskChain
        By task.
    refused : dict of str to str
        Tasks that cannot be fitted, and why.
    """

    chains: Mapping[str, TaskChain]
    refused: Mapping[str, str]

    def predict(self, data: pd.DataFrame, level: float | None = None) -> pd.DataFrame:
        """Loss and accuracy of models on every task; one row per task and model.

        Returns
        -------
        DataFrame
            ``task`` and the columns of `data`, then those of `TaskChain.predict`.
        """
        tables = []
        for task, chain in self.chains.items():
            predicted = pd.concat([data, chain.predict(data, level)], axis=1)
            predicted.insert(0, "task", task)
            tables.append(predicted)
        return pd.concat(tables, ignore_index=True)

    @property
    def warnings(self) -> tuple[str, ...]:
        """Those of all fits, each with its task."""
        return tuple(
            f"{task}: {warning}"
            for task, chain in self.chains.items()
            for warning in (*chain.loss.warnings, *chain.accuracy.warnings)
        )


def task_chains(
    models: Mapping[str, pd.DataFrame],
    checkpoints: Mapping[str, pd.DataFrame] = _NONE,
    **options: Any,
) -> TaskChains:
    """Fit the chain of every task, all as one batch of the solver.

    The fits are those of `analysis.task_chain` for each task, within the solver's tolerance.

    Parameters
    ----------
    models : mapping of str to DataFrame
        Task -> its table, as `analysis.task_chain` takes it: one row per finished model, with
        ``N``, ``D``, ``task_loss`` and ``accuracy``.
    checkpoints : mapping of str to DataFrame
        Task -> more pairs of loss and accuracy, as there.
    **options
        As of `analysis.task_chain`, for all tasks.

    Raises
    ------
    UserError
        If no task can be fitted; else `TaskChains.refused` says which cannot.
    """

    def of(task: str) -> TaskChain | UserError:
        try:
            return task_chain(models[task], checkpoints.get(task), **options)
        except UserError as error:
            return error

    found = dict(zip(models, in_lockstep([partial(of, task) for task in models]), strict=True))
    chains = {task: chain for task, chain in found.items() if isinstance(chain, TaskChain)}
    refused = {task: str(error) for task, error in found.items() if isinstance(error, UserError)}
    if not chains:
        raise UserError(
            "; ".join(f"{t}: {reason}" for t, reason in refused.items()) or "no task is named"
        )
    return TaskChains(chains, refused)
