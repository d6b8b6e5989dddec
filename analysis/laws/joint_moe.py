"""Mixtures of experts and dense models on one surface: size, data and the number of experts.

    L = a E_eff^delta N^(alpha + gamma ln E_eff) + b E_eff^omega D^(beta + zeta ln E_eff) + c

For any one E it is Chinchilla's law in the active parameters N and the tokens D; the logarithms of
its coefficients and its exponents are lines in ln E_eff. For E_eff see
`scalinglab.analysis.laws.experts`.
"""

from __future__ import annotations

from itertools import product

import numpy as np

from scalinglab.analysis.laws.experts import (
    COLUMNS,
    SATURATION,
    effective_experts,
    experts_in_words,
)
from scalinglab.analysis.laws.law import Array, Columns, Law
from scalinglab.analysis.laws.nnls import nonnegative_coefficients
from scalinglab.analysis.laws.parameter import Parameter
from scalinglab.analysis.laws.registry import register

# Exponents of size and data in a model with one expert, and what ten times as many experts do to
# both; what one expert counts as.
_TRIED = np.array(
    list(product((0.12, 0.2, 0.35), (0.12, 0.2, 0.35), (0.0, 0.04), (-0.05, 0.0), (1.0, 3.0)))
).T
_MOST = 300.0  # experts that count, where a start begins


def _value(
    n_active: Array,
    D: Array,
    experts: Array,
    a: Array,
    alpha: Array,
    delta: Array,
    gamma: Array,
    b: Array,
    beta: Array,
    omega: Array,
    zeta: Array,
    c: Array,
    E_start: Array,
    E_max: Array,
) -> Array:
    log_E = np.log(effective_experts(experts, E_start, E_max))
    of_N = _term(n_active, log_E, a, alpha, delta, gamma)
    return of_N + _term(D, log_E, b, beta, omega, zeta) + c


def _term(
    x: Array, log_E: Array, coefficient: Array, exponent: Array, delta: Array, gamma: Array
) -> Array:
    """Of the size or of the data: coefficient E_eff^delta x^(exponent + gamma ln E_eff)."""
    return coefficient * np.exp(delta * log_E + (exponent + gamma * log_E) * np.log(x))


def _parameters(
    of: str, coefficient: str, exponent: str, delta: str, gamma: str
) -> tuple[Parameter, ...]:
    """The parameters of a term, in the order of `_term`."""
    return (
        Parameter(coefficient, scale="log", unit="nats/token", meaning=f"{of} coefficient"),
        Parameter(
            exponent,
            (-0.5, -0.05),
            low=-3,
            high=0,
            meaning=f"exponent of the {of}",
            role="exponent",
        ),
        Parameter(delta, (-0.5, 0.5), low=-5, high=5, meaning="experts in its coefficient"),
        Parameter(gamma, (-0.05, 0.05), low=-1, high=1, meaning="experts in its exponent"),
    )


def _guess(columns: Columns, loss: Array) -> dict[str, Array]:
    """Starts whose terms change with E about the middle of the sizes; coefficients are solved."""
    alpha, beta, of_N, of_D, E_start = _TRIED
    log_N, log_D = np.log(columns["n_active"]), np.log(columns["D"])
    gamma, zeta = of_N / np.log(10), of_D / np.log(10)
    # At the middle of the sizes and of the data, experts lower both terms a little.
    delta, omega = -gamma * log_N.mean() - 0.05, -zeta * log_D.mean() - 0.05
    at = {
        name: value[:, None]
        for name, value in (
            ("alpha", -alpha),
            ("delta", delta),
            ("gamma", gamma),
            ("beta", -beta),
            ("omega", omega),
            ("zeta", zeta),
            ("E_start", E_start),
        )
    }
    none, unit = np.zeros((1, 1)), np.ones((1, 1))
    fixed = {**columns, **at, "E_max": np.full((1, 1), _MOST)}
    terms = [
        np.broadcast_to(_value(**fixed, a=x, b=y, c=z), (len(alpha), len(log_N)))
        for x, y, z in ((unit, none, none), (none, unit, none), (none, none, unit))
    ]
    scale = np.stack([term.mean(1) for term in terms], axis=1)
    basis = np.stack(terms, axis=1) / scale[:, :, None]
    a, b, c = (np.maximum(nonnegative_coefficients(basis, loss), 1e-3) / scale).T
    starts = {"a": a, "b": b, "c": c, "E_max": np.full(len(a), _MOST)}
    return starts | {name: value[:, 0] for name, value in at.items()}


JOINT_MOE = register(
    Law(
        name="joint_moe",
        formula="L = a E_eff^delta n_active^(alpha + gamma ln E_eff)"
        f" + b E_eff^omega D^(beta + zeta ln E_eff) + c, {experts_in_words()}",
        source="Ludziejewski et al. 2025, arXiv:2502.05172, equations 4 and 6",
        columns={
            "n_active": COLUMNS["n_active"],
            "D": "training tokens seen",
            "experts": COLUMNS["experts"],
        },
        parameters=(
            *_parameters("size", "a", "alpha", "delta", "gamma"),
            *_parameters("data", "b", "beta", "omega", "zeta"),
            Parameter("c", low=0, unit="nats/token", meaning="irreducible loss", role="floor"),
            *SATURATION,
        ),
        value=_value,
        guess=_guess,
        # Table 3, with the signs of table 4.
        reference={
            "a": 35.91,
            "alpha": -0.1889,
            "delta": -0.2285,
            "gamma": 0.0098,
            "b": 35.98,
            "beta": -0.1775,
            "omega": 0.5529,
            "zeta": -0.0259,
            "c": 1.3637,
            "E_start": 2.0732,
            "E_max": 290.4521,
        },
    )
)
