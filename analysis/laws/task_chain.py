"""From size and tokens to the loss on a task, and from that loss to the accuracy.

    task loss = E + A / N^alpha + B / D^beta
    accuracy = low + (high - low) / (1 + exp(k (task loss - middle)))

The first step is Chinchilla's surface of the task's own loss (bits per byte of the right answers);
the second is a sigmoid, which all checkpoints of all models share. `task_chain` fits both and
carries the doubt of the first through the second.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import product
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from analysis.fitting.nnls import nonnegative_coefficients
from analysis.laws.law import Array, Columns, Law, Parameter
from analysis.laws.registry import register

if TYPE_CHECKING:
    from analysis.fitting.result import Result

_SOURCE = "Bhagia et al. 2024, arXiv:2412.04403"
_PLACES, _WIDTHS = (0.0, 0.2, 0.5, 0.8), (0.05, 0.15, 0.4, 1.0)  # in units of the range of losses
_TRIED = np.array(list(product(_PLACES, _WIDTHS))).T
# Task losses and accuracies scatter by about a per cent. Below that, Huber's cost is nearly the
# absolute value: on the OLMo ladder it took twice as long and missed the largest models by 1.6
# points of accuracy on average instead of 1.4.
_DELTA = 0.01
_NONE: Mapping = {}


def _solved(task_loss: Array, k: Array, middle: Array) -> Array:
    """How much of the way from guessing to its best a model has come, 0 to 1."""
    return 0.5 * (1 - np.tanh(0.5 * k * (task_loss - middle)))


def _value(task_loss: Array, low: Array, high: Array, k: Array, middle: Array) -> Array:
    return low + (high - low) * _solved(task_loss, k, middle)


def _gradient(
    task_loss: Array, low: Array, high: Array, k: Array, middle: Array
) -> tuple[Array, dict[str, Array]]:
    solved = _solved(task_loss, k, middle)
    steep = (high - low) * solved * (1 - solved)
    return low + (high - low) * solved, {
        "low": 1 - solved,
        "high": solved,
        "k": -steep * (task_loss - middle),
        "middle": steep * k,
    }


def _guess(columns: Columns, accuracy: Array) -> dict[str, Array]:
    loss = columns["task_loss"]
    place, width = _TRIED
    middle, k = loss.min() + place * np.ptp(loss), 1 / (width * np.ptp(loss))
    solved = _solved(loss, k[:, None], middle[:, None])
    basis = np.stack([1 - solved, solved], axis=1)
    low, high = np.minimum(nonnegative_coefficients(basis, accuracy, "absolute").T, 1)
    return {"low": low, "high": high, "k": k, "middle": middle}


TASK_ACCURACY = register(
    Law(
        name="task_accuracy",
        formula="accuracy = low + (high - low) / (1 + exp(k (task_loss - middle)))",
        source=_SOURCE,
        columns={"task_loss": "loss on the task's right answers, bits per byte or nats"},
        response="accuracy",
        errors="absolute",
        span=(0.0, 1.0),
        parameters=(
            Parameter("low", (0.0, 0.5), low=0, high=1, meaning="accuracy of guessing"),
            Parameter("high", (0.5, 1.0), low=0, high=1, meaning="accuracy of the best model"),
            Parameter(
                "k", (0.5, 50), "log", 1e-2, 1e3, "1 / unit of the loss", "steepness of the sigmoid"
            ),
            Parameter("middle", (0.1, 3.0), low=0, unit="unit of the loss", meaning="half way"),
        ),
        value=_value,
        gradient=_gradient,
        guess=_guess,
    )
)


@dataclass(frozen=True)
class TaskChain:
    """Both steps of a task.

    Attributes
    ----------
    loss, accuracy : Result
        From N and D to the task's loss; from that to the accuracy.
    """

    loss: Result
    accuracy: Result

    def predict(self, data: pd.DataFrame, level: float | None = None) -> pd.DataFrame:
        """Loss and accuracy of models, with intervals that went through both steps.

        Parameters
        ----------
        data : DataFrame
            With N and D.
        level : float, optional
            Of the intervals.

        Returns
        -------
        DataFrame
            Index of `data`; ``task_loss``, ``accuracy``, ``inside``, ``beyond`` (of the first step)
            and, with `level`, ``task_loss_lower``, ``task_loss_upper``, ``lower`` and ``upper`` (of
            the accuracy).
        """
        first = self.loss.predict(data, level)
        losses = pd.DataFrame({self._column: first[self.loss.law.response]})
        table = pd.DataFrame({
            "task_loss": losses[self._column],
            "accuracy": self.accuracy.predict(losses)["accuracy"],
            "inside": first["inside"],
            "beyond": first["beyond"],
        })
        if level is not None:
            table["task_loss_lower"], table["task_loss_upper"] = first["lower"], first["upper"]
            ends = np.quantile(self.simulate(data), [(1 - level) / 2, (1 + level) / 2], axis=0)
            table["lower"], table["upper"] = ends
        return table

    def simulate(self, data: pd.DataFrame) -> Array:
        """Accuracies that could be measured, shape (resamples, rows): each from a loss that could
        be, by a sigmoid that could be, with the noise of accuracies on top."""
        losses = self.loss.simulate(data)
        count = min(len(losses), len(self.accuracy.draws))
        central = pd.DataFrame({self._column: self.loss.predict(data)[self.loss.law.response]})
        # Both steps draw from one seed; what is wrong with one has nothing to do with the other.
        other = np.random.default_rng(self.accuracy.settings["seed"]).permutation(count)
        made = self.accuracy.simulate(central)[other]  # its doubt and noise, at the central loss
        params = self.accuracy.draws.to_numpy()[other]
        columns = self.accuracy.columns_of(central)
        moved = TASK_ACCURACY.predict(params, {"task_loss": losses[:count]})
        return np.clip(made + moved - TASK_ACCURACY.predict(params, columns), 0, 1)

    @property
    def _column(self) -> str:
        return self.accuracy.columns["task_loss"]

    def report(self) -> str:
        """Both fits as text."""
        return "\n".join([self.loss.report(), self.accuracy.report()])


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
        One row a finished model: N, D, the task's loss and its accuracy.
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
        For both; delta is 0.01 unless given.

    Raises
    ------
    ValueError
        As `analysis.fit`.

    Examples
    --------
    >>> import numpy as np, pandas as pd, analysis
    >>> N, D = np.meshgrid(np.geomspace(1e8, 3e9, 5), np.geomspace(2e9, 6e11, 5))
    >>> runs = pd.DataFrame({"N": N.ravel(), "D": D.ravel()})
    >>> runs["task_loss"] = 0.4 + 40 / runs.N**0.25 + 90 / runs.D**0.25
    >>> runs["accuracy"] = 0.25 + 0.7 / (1 + np.exp(5 * (runs.task_loss - 0.9)))
    >>> chain = analysis.task_chain(runs, resamples=0)
    >>> round(chain.predict(pd.DataFrame({"N": [7e9], "D": [4e12]})).accuracy[0], 3)
    0.855
    """
    from analysis.fitting.fitter import fit

    options = {"delta": _DELTA, **options}
    first = {**options, **loss_options, "columns": {**columns, "loss": task_loss}}
    second = {**options, **accuracy_options}
    second["columns"] = {"task_loss": task_loss, "accuracy": accuracy}
    pairs = models if checkpoints is None else checkpoints
    return TaskChain(
        loss=fit("chinchilla", models, **first), accuracy=fit(TASK_ACCURACY, pairs, **second)
    )
