"""From size and tokens to the loss on a task, and from that loss to the accuracy.

    task loss = E + A / N^alpha + B / D^beta
    accuracy = low + (high - low) / (1 + exp(k (task loss - middle)))

The first step is Chinchilla's surface of the task's own loss (bits per byte of the right answers);
the second is the law `task_accuracy`. Both are fitted, and the doubt of the first is carried
through the second.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from scalinglab.analysis.default_laws import LAW
from scalinglab.analysis.fitting.fit import fit
from scalinglab.analysis.fitting.missed_ahead import Step, missed_ahead
from scalinglab.analysis.fitting.result import Result
from scalinglab.analysis.intervals.spread import quantiles
from scalinglab.analysis.laws.law import Array
from scalinglab.analysis.laws.parameter import NO_PRIORS
from scalinglab.analysis.laws.task_accuracy import TASK_ACCURACY

# Task losses and accuracies scatter by about a per cent. Below that, Huber's cost is nearly the
# absolute value: on the OLMo ladder it took twice as long and missed the largest models by 1.6
# points of accuracy on average instead of 1.4.
_DELTA = 0.01
_NONE: Mapping = {}
# Median and spread of the exponents of 17 tasks' losses on three corpora (arXiv:2411.12925), chosen
# with tasks left out (benchmarks/task_priors.py), on no task of the suite that they are scored on.
LOSS_PRIORS = {"alpha": (0.40, 0.17), "beta": (0.52, 0.31)}


@dataclass(frozen=True)
class TaskChain:
    """Both steps of a task.

    Attributes
    ----------
    loss, accuracy : Result
        From N and D to the task's loss; from that to the accuracy.
    missed : float, optional
        By how much the chain, fitted without the largest budget, missed its models' accuracies
        beyond their noise, root mean square (`scalinglab.analysis.fitting.missed_ahead`). None
        without intervals, and where too few models are left.
    """

    loss: Result
    accuracy: Result
    missed: float | None = None

    def predict(self, data: pd.DataFrame, level: float | None = None) -> pd.DataFrame:
        """Loss and accuracy of models, with intervals that went through both steps.

        Parameters
        ----------
        data : DataFrame
            With N and D.
        level : float, optional
            Level of the intervals.

        Returns
        -------
        DataFrame
            Index of `data`; ``task_loss``, ``accuracy``, ``inside``, ``beyond`` (of the first step)
            and, with `level`, ``task_loss_lower``, ``task_loss_upper``, ``lower`` and ``upper`` (of
            the accuracy).
        """
        first = self.loss.predict(data, level)
        losses = pd.DataFrame({self._column: first[self.loss.law.response]})
        table = pd.DataFrame(
            {
                "task_loss": losses[self._column],
                "accuracy": self.accuracy.predict(losses)["accuracy"],
                "inside": first["inside"],
                "beyond": first["beyond"],
            }
        )
        if level is not None:
            table["task_loss_lower"], table["task_loss_upper"] = first["lower"], first["upper"]
            table["lower"], table["upper"] = quantiles(self.simulate(data), level)
        return table

    def simulate(self, data: pd.DataFrame) -> Array:
        """Accuracies that could be measured, shape (resamples, rows): each from a loss that could
        be, by a sigmoid that could be, with the noise of accuracies on top, and as far off as the
        chain was of its largest models when it was fitted without them.
        """
        losses = self.loss.simulate(data)
        count = min(len(losses), len(self.accuracy.draws))
        central = pd.DataFrame({self._column: self.loss.predict(data)[self.loss.law.response]})
        # Both steps draw from one seed; what is wrong with one has nothing to do with the other.
        rng = np.random.default_rng(self.accuracy.settings["seed"])
        order = rng.permutation(count)
        # Its doubt and noise, at the central loss.
        simulated = self.accuracy.simulate(central)[order]
        params = self.accuracy.draws.to_numpy()[order]
        columns = self.accuracy.columns_of(central)
        moved = TASK_ACCURACY.predict(params, {"task_loss": losses[:count]})
        simulated = simulated + moved - TASK_ACCURACY.predict(params, columns)
        # A law that is off is off at all models of a budget alike.
        off = (self.missed or 0.0) * rng.standard_normal((count, 1))
        return np.clip(simulated + off, 0, 1)

    @property
    def _column(self) -> str:
        return self.accuracy.columns["task_loss"]

    def report(self) -> str:
        """Both fits as text, what was known beforehand and how the largest models were missed."""
        steps = [self.loss.report(), self.accuracy.report()]
        return "\n".join([*steps, *self._known(), *self._missed()])

    def _missed(self) -> list[str]:
        """How far off the chain was without its largest models, which its intervals allow for."""
        if self.missed is None:
            return []
        return [
            "Without the models of the largest budget the chain misses their accuracies by"
            f" {100 * self.missed:.1f} points beyond noise; its intervals allow for that."
        ]

    def _known(self) -> list[str]:
        """What a reader must know of the priors."""
        priors = {n: list(pair) for n, pair in LOSS_PRIORS.items()}
        if not any(self.loss.settings["priors"].get(n) == prior for n, prior in priors.items()):
            return []
        return [
            "The exponents' priors are what other tasks showed (docs/laws.md);"
            f" priors='{NO_PRIORS}' leaves out all that was known beforehand."
        ]


def task_chain(
    models: pd.DataFrame,
    checkpoints: pd.DataFrame | None = None,
    *,
    task_loss: str = "task_loss",
    accuracy: str = "accuracy",
    columns: Mapping[str, str] = _NONE,
    loss_options: Mapping[str, Any] = _NONE,
    accuracy_options: Mapping[str, Any] = _NONE,
    **options: Any,
) -> TaskChain:
    """Fit both steps of a task (arXiv:2412.04403).

    Parameters
    ----------
    models : DataFrame
        One row per finished model: N, D, the task's loss and its accuracy.
    checkpoints : DataFrame, optional
        More pairs of loss and accuracy for the sigmoid, such as checkpoints along the runs (with a
        column ``cluster`` that names the run); default: `models`.
    task_loss, accuracy : str
        Columns of the task.
    columns : mapping, optional
        ``N`` and ``D`` -> columns of the table, where they differ.
    loss_options, accuracy_options : mapping
        Options of `analysis.fit` for one of the steps.
    **options
        For both; delta is 0.01 unless given. Unless ``priors="none"``, the loss's
        exponents have the weak priors `LOSS_PRIORS`. That a loss of 0 gives the best accuracy is
        ``accuracy_options={"priors": {"high": (1.0, 0.1)}}``; it is no default (docs/laws.md).

    Raises
    ------
    UserError
        As `analysis.fit`.

    Examples
    --------
    >>> import numpy as np, pandas as pd
    >>> from scalinglab import analysis
    >>> N, D = np.meshgrid(np.geomspace(1e8, 3e9, 5), np.geomspace(2e9, 6e11, 5))
    >>> runs = pd.DataFrame({"N": N.ravel(), "D": D.ravel()})
    >>> runs["task_loss"] = 0.4 + 40 / runs.N**0.25 + 90 / runs.D**0.25
    >>> runs["accuracy"] = 0.25 + 0.7 / (1 + np.exp(5 * (runs.task_loss - 0.9)))
    >>> chain = analysis.task_chain(runs, resamples=0)
    >>> larger = chain.predict(pd.DataFrame({"N": [7e9], "D": [4e12]}))
    >>> round(float(larger.accuracy[0]), 3)
    0.821
    """
    options = {"delta": _DELTA, **options}
    first = {**options, **loss_options, "columns": {**columns, "loss": task_loss}}
    if first.get("priors", {}) != NO_PRIORS:
        fixed = {*first.get("fixed", ()), *first.get("tied", ())}
        weak = {name: prior for name, prior in LOSS_PRIORS.items() if name not in fixed}
        first["priors"] = {**weak, **first.get("priors", {})}
    second = {**options, **accuracy_options}
    second["columns"] = {"task_loss": task_loss, "accuracy": accuracy}
    pairs = models if checkpoints is None else checkpoints
    steps = (
        Step(fit(LAW, models, **first), models, first),
        Step(fit(TASK_ACCURACY, pairs, **second), pairs, second),
    )
    first_law, second_law = (step.result for step in steps)
    has_intervals = len(first_law.draws) and len(second_law.draws)
    return TaskChain(first_law, second_law, missed_ahead(*steps) if has_intervals else None)
