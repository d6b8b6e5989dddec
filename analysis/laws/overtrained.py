"""Training past the compute-optimal number of tokens, and the task error that follows from a loss.

In compute C = 6 N D and tokens per parameter M = D / N, Chinchilla's surface with one exponent
2 eta for size and data has the same exponent of compute at any M: an over-trained family of models
falls beside the optimal one.
"""

from __future__ import annotations

import numpy as np

from scalinglab.analysis.laws.law import Array, Columns, Law
from scalinglab.analysis.laws.nnls import nonnegative_coefficients
from scalinglab.analysis.laws.parameter import Parameter
from scalinglab.analysis.laws.registry import register

_SOURCE = "Gadre et al. 2024, arXiv:2403.08540"
_RATES = np.geomspace(0.1, 10, 16)


def _value(N: Array, D: Array, E: Array, a: Array, b: Array, eta: Array) -> Array:
    log_C, log_M = np.log(6 * N * D), np.log(D / N)
    return E + a * np.exp(eta * (log_M - log_C)) + b * np.exp(-eta * (log_M + log_C))


def _error(loss: Array, eps: Array, k: Array, gamma: Array) -> Array:
    return eps - k * np.exp(-gamma * loss)


def _guess_error(columns: Columns, error: Array) -> dict[str, Array]:
    """Starts at many rates, with the other two solved for as a sum of positive terms."""
    falling = np.exp(-_RATES[:, None] * (columns["loss"] - columns["loss"].min()))
    basis = np.stack([np.ones_like(falling), 1 - falling], axis=1)  # eps - k and k, shifted
    floor, height = np.maximum(nonnegative_coefficients(basis, error, "absolute"), 1e-6).T
    k = height * np.exp(np.clip(_RATES * columns["loss"].min(), 0, 100))
    return {"eps": floor + height, "k": k, "gamma": _RATES}


OVERTRAINED = register(
    Law(
        name="overtrained",
        formula="L = E + (a M^eta + b M^-eta) C^-eta, C = 6 N D, M = D / N",
        source=_SOURCE,
        columns={"N": "model size in parameters", "D": "training tokens seen"},
        parameters=(
            Parameter("E", low=0, unit="nats/token", meaning="irreducible loss", role="floor"),
            Parameter("a", scale="log", meaning="coefficient of small models"),
            Parameter("b", scale="log", meaning="coefficient of short training"),
            Parameter(
                "eta", (0.03, 0.6), low=0, high=3, meaning="exponent of compute", role="exponent"
            ),
        ),
        value=_value,
        linear=("E", "a", "b"),
    )
)

TASK_ERROR = register(
    Law(
        name="task_error",
        formula="error = eps - k exp(-gamma L)",
        source=_SOURCE,
        columns={"loss": "validation loss, nats/token"},
        response="error",
        errors="absolute",
        span=(0.0, 1.0),
        parameters=(
            Parameter("eps", (0.5, 1.0), low=0, high=1, meaning="error of guessing"),
            Parameter("k", scale="log", meaning="coefficient"),
            Parameter("gamma", (0.1, 10), "log", 1e-3, 1e3, meaning="rate in the loss"),
        ),
        value=_error,
        guess=_guess_error,
    )
)
