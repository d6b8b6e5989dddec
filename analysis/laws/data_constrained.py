"""Chinchilla's surface when tokens are repeated: repetitions and excess size are worth less.

    L = E + A / N'^alpha + B / D'^beta
    D' = U + U R_D (1 - exp(-(D / U - 1) / R_D))
    N' = V + V R_N (1 - exp(-(N / V - 1) / R_N))

U is the number of unique tokens, no more than D. V is the size that these are worth: the size that
is compute-optimal for U tokens by the same A, alpha, B and beta, no more than N. The law cannot
turn upward, as the loss of runs that repeat very often does; leave those out, or expect them to
pull. It has basins, and starts begin on either side of them: see `Result.diagnosis.basins`.
"""

from __future__ import annotations

from itertools import product

import numpy as np

from scalinglab.analysis.laws.law import Array, Columns, Law
from scalinglab.analysis.laws.nnls import nonnegative_coefficients
from scalinglab.analysis.laws.parameter import Parameter
from scalinglab.analysis.laws.registry import register

# The law has a basin with a tiny R_D beside the published one: slacks begin on both sides.
_EXPONENTS, _SLACKS = (0.2, 0.45), (0.02, 0.5, 5.0, 50.0)
_TRIED = np.array(list(product(_EXPONENTS, _EXPONENTS, _SLACKS, _SLACKS))).T


def _worth(total: Array, plain: Array, slack: Array) -> Array:
    """What `total` is worth if `plain` counts in full and the excess fades over `slack` of it."""
    excess = total / plain - 1
    return plain * (1 + slack * -np.expm1(-excess / slack))


def _worth_partials(total: Array, plain: Array, slack: Array) -> tuple[Array, Array, Array]:
    """`_worth`, its derivative in `slack`, and what is left of a further token or parameter.

    In `exp` alone, which costs a fifth of `expm1` and is as exact where the slack is not so large
    that none is worn.
    """
    worn = (total / plain - 1) / slack
    left = np.exp(-worn)
    faded = 1 - left
    return plain + plain * slack * faded, plain * (faded - worn * left), left


def _smaller(left: Array, right: Array) -> Array:
    return np.where(left.real < right.real, left, right)  # of complex steps, too


def _value(
    N: Array,
    D: Array,
    U: Array,
    E: Array,
    A: Array,
    alpha: Array,
    B: Array,
    beta: Array,
    R_D: Array,
    R_N: Array,
) -> Array:
    # Where alpha A / N^alpha = beta B / D^beta, both are bought at the same price (C = 6 N D).
    optimal = np.exp((np.log(alpha * A / (beta * B)) + beta * np.log(U)) / alpha)
    worth_N = _worth(N, _smaller(N, optimal), R_N)
    worth_D = _worth(D, np.minimum(U, D), R_D)
    return E + A * np.exp(-alpha * np.log(worth_N)) + B * np.exp(-beta * np.log(worth_D))


def _gradient(
    N: Array,
    D: Array,
    U: Array,
    E: Array,
    A: Array,
    alpha: Array,
    B: Array,
    beta: Array,
    R_D: Array,
    R_N: Array,
) -> tuple[Array, dict[str, Array]]:
    log_U = np.log(U)
    log_optimal = (np.log(alpha * A / (beta * B)) + beta * log_U) / alpha
    optimal = np.exp(np.minimum(log_optimal, np.log(N)))
    worth_N, by_R_N, left = _worth_partials(N, optimal, R_N)
    worth_D, by_R_D, _ = _worth_partials(D, np.minimum(U, D), R_D)
    log_N, log_D = np.log(worth_N), np.log(worth_D)
    fall_N, fall_D = np.exp(-alpha * log_N), np.exp(-beta * log_D)
    of_N, of_D = A * fall_N, B * fall_D
    per_N, per_D = -alpha * of_N / worth_N, -beta * of_D / worth_D  # dL / dN', dL / dD'
    # dL / d(alpha log V): V dN'/dV is N' less what is left of each of the N.
    moved = np.where(optimal < N, per_N / alpha * (worth_N - N * left), 0)
    partials = {
        "E": 1.0,
        "A": fall_N + moved / A,
        "alpha": -log_N * of_N + moved * (1 / alpha - log_optimal),
        "B": fall_D - moved / B,
        "beta": -log_D * of_D + moved * (log_U - 1 / beta),
        "R_D": per_D * by_R_D,
        "R_N": per_N * by_R_N,
    }
    return E + of_N + of_D, partials


def _guess(columns: Columns, loss: Array) -> dict[str, Array]:
    """Starts whose coefficients are solved for as if no model were too large for its data."""
    alpha, beta, R_D, _R_N = (column[:, None] for column in _TRIED)
    worth_D = _worth(columns["D"], np.minimum(columns["U"], columns["D"]), R_D)
    by_N, by_D = np.exp(-alpha * np.log(columns["N"])), np.exp(-beta * np.log(worth_D))
    basis = np.stack(np.broadcast_arrays(1.0, by_N, by_D), axis=1)
    E, A, B = nonnegative_coefficients(basis, loss).T
    A, B = np.maximum(A, 1.0), np.maximum(B, 1.0)
    return dict(zip(("alpha", "beta", "R_D", "R_N"), _TRIED, strict=True), E=E, A=A, B=B)


DATA_CONSTRAINED = register(
    Law(
        name="data_constrained",
        formula="L = E + A / N'^alpha + B / D'^beta, N' and D' discounted for repetition",
        source="Muennighoff et al. 2023, arXiv:2305.16264",
        columns={
            "N": "model size in parameters",
            "D": "training tokens seen, repetitions included",
            "U": "unique tokens among them",
        },
        parameters=(
            Parameter("E", low=0, unit="nats/token", meaning="irreducible loss", role="floor"),
            Parameter("A", scale="log", unit="nats/token", meaning="size coefficient"),
            Parameter(
                "alpha", (0.1, 1.2), low=0.01, high=5, meaning="size exponent", role="exponent"
            ),
            Parameter("B", scale="log", unit="nats/token", meaning="data coefficient"),
            Parameter(
                "beta", (0.1, 1.2), low=0.01, high=5, meaning="data exponent", role="exponent"
            ),
            Parameter("R_D", (0.02, 50), "log", 1e-3, 1e4, meaning="repetitions until worth 1/e"),
            Parameter("R_N", (0.02, 50), "log", 1e-3, 1e4, meaning="excess until worth 1/e"),
        ),
        value=_value,
        gradient=_gradient,
        guess=_guess,
    )
)
