"""The best learning rate and the best batch for a size and a number of tokens.

    lr = c N^a D^b,  batch = d D^e

`scalinglab.analysis.fitting.lr_batch` fits both to a sweep.
"""

from __future__ import annotations

import numpy as np

from scalinglab.analysis.laws.law import Array, Columns, Law
from scalinglab.analysis.laws.parameter import Parameter
from scalinglab.analysis.laws.registry import register

_STEP_LAW = "Li et al. 2025 (Step Law), arXiv:2503.04715"
_TURNS = np.array([0.5, 1.0, 2.0])  # starts: the straight line in the logarithms, and turned


def _lr(N: Array, D: Array, c: Array, a: Array, b: Array) -> Array:
    return np.exp(np.log(c) + a * np.log(N) + b * np.log(D))


def _batch(D: Array, d: Array, e: Array) -> Array:
    return np.exp(np.log(d) + e * np.log(D))


def _plane(columns: Columns, response: Array, *names: str) -> tuple[Array, Array]:
    """Coefficient, shape (starts,), and exponents, shape (names, starts), near least squares."""
    logs = np.log(np.stack([columns[name] for name in names]))
    middle = logs.mean(1, keepdims=True)
    slope = np.linalg.lstsq((logs - middle).T, np.log(response), rcond=None)[0]
    exponents = slope[:, None] * _TURNS
    return np.exp(np.log(response).mean() - (middle * exponents).sum(0)), exponents


def _guess_lr(columns: Columns, lr: Array) -> dict[str, Array]:
    c, (a, b) = _plane(columns, lr, "N", "D")
    return {"c": c, "a": a, "b": b}


def _guess_batch(columns: Columns, batch: Array) -> dict[str, Array]:
    d, (e,) = _plane(columns, batch, "D")
    return {"d": d, "e": e}


BEST_LR = register(
    Law(
        name="best_lr",
        formula="lr = c N^a D^b",
        source=_STEP_LAW,
        columns={"N": "model size in parameters", "D": "training tokens seen"},
        response="lr",
        parameters=(
            Parameter("c", scale="log", meaning="coefficient"),
            Parameter(
                "a", (-1.0, 0.0), low=-5, high=5, meaning="exponent of the size", role="exponent"
            ),
            Parameter(
                "b", (0.0, 1.0), low=-5, high=5, meaning="exponent of the data", role="exponent"
            ),
        ),
        value=_lr,
        guess=_guess_lr,
    )
)

BEST_BATCH = register(
    Law(
        name="best_batch",
        formula="batch = d D^e",
        source=_STEP_LAW,
        columns={"D": "training tokens seen"},
        response="batch",
        parameters=(
            Parameter("d", scale="log", unit="tokens", meaning="coefficient"),
            Parameter(
                "e", (0.0, 1.0), low=-5, high=5, meaning="exponent of the data", role="exponent"
            ),
        ),
        value=_batch,
        guess=_guess_batch,
    )
)
