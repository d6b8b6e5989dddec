"""From the loss on a task to the accuracy.

    accuracy = low + (high - low) / (1 + exp(k (task_loss - middle)))

A sigmoid, which all checkpoints of all models share; the second step of
`scalinglab.analysis.fitting.task_chain`.
"""

from __future__ import annotations

from itertools import product

import numpy as np

from scalinglab.analysis.laws.law import Array, Columns, Law
from scalinglab.analysis.laws.nnls import nonnegative_coefficients
from scalinglab.analysis.laws.parameter import Parameter
from scalinglab.analysis.laws.registry import register

_SOURCE = "Bhagia et al. 2024, arXiv:2412.04403"
_PLACES, _WIDTHS = (0.0, 0.2, 0.5, 0.8), (0.05, 0.15, 0.4, 1.0)  # in units of the range of losses
_TRIED = np.array(list(product(_PLACES, _WIDTHS))).T


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
