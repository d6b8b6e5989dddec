"""Parallel streams: P passes through one model, whose outputs are mixed, act as a larger model."""

from __future__ import annotations

from itertools import product

import numpy as np

from scalinglab.analysis.laws.law import Array, Columns, Law
from scalinglab.analysis.laws.nnls import nonnegative_coefficients
from scalinglab.analysis.laws.parameter import Parameter
from scalinglab.analysis.laws.registry import register

# Exponents and worths of a stream that starts try; E and A are then solved.
_TRIED = np.array(list(product((0.05, 0.1, 0.2, 0.4, 0.8), (0.05, 0.2, 0.5, 1.5)))).T


def _value(N: Array, P: Array, E: Array, A: Array, alpha: Array, k: Array) -> Array:
    return E + np.exp(alpha * (np.log(A) - np.log(N) - np.log(1 + k * np.log(P))))


def _guess(columns: Columns, loss: Array) -> dict[str, Array]:
    alpha, k = _TRIED
    size = np.log(columns["N"]) + np.log1p(k[:, None] * np.log(columns["P"]))
    middle = size.mean(1)
    falling = np.exp(-alpha[:, None] * (size - middle[:, None]))
    basis = np.stack([np.ones_like(falling), falling], axis=1)
    E, height = nonnegative_coefficients(basis, loss).T
    log_A = middle + np.log(np.maximum(height, 1e-6)) / alpha
    return {"E": E, "A": np.exp(np.clip(log_A, -100, 100)), "alpha": alpha, "k": k}


PARSCALE = register(
    Law(
        name="parscale",
        formula="L = E + (A / (N (k ln P + 1)))^alpha",
        source="Chen et al. 2025, arXiv:2505.10475",
        columns={"N": "model size in parameters", "P": "parallel streams, 1 or more"},
        parameters=(
            Parameter("E", low=0, unit="nats/token", meaning="irreducible loss", role="floor"),
            Parameter("A", scale="log", unit="parameters", meaning="scale of the size"),
            Parameter(
                "alpha", (0.05, 0.8), low=0, high=5, meaning="size exponent", role="exponent"
            ),
            Parameter("k", (0.05, 1.5), low=0, high=50, meaning="worth of a stream"),
        ),
        value=_value,
        guess=_guess,
    )
)
