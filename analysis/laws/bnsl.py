"""A power law that breaks once, smoothly, into another."""

from __future__ import annotations

from itertools import product

import numpy as np

from scalinglab.analysis.laws.law import Array, Columns, Law
from scalinglab.analysis.laws.nnls import nonnegative_coefficients
from scalinglab.analysis.laws.parameter import Parameter
from scalinglab.analysis.laws.registry import register

_TRIED = np.array(list(product((0.05, 0.3), (-0.3, 0.2, 0.6, 1.2), (0.2, 0.5, 0.8), (0.15, 0.6)))).T


def _value(x: Array, a: Array, b: Array, c0: Array, c1: Array, d1: Array, f1: Array) -> Array:
    log_x = np.log(x)
    return a + np.exp(np.log(b) - c0 * log_x - c1 * f1 * _softplus((log_x - np.log(d1)) / f1))


def _gradient(
    x: Array, a: Array, b: Array, c0: Array, c1: Array, d1: Array, f1: Array
) -> tuple[Array, dict[str, Array]]:
    log_x = np.log(x)
    past = (log_x - np.log(d1)) / f1
    bend, share = _softplus(past), np.exp(-_softplus(-past))
    falling = np.exp(np.log(b) - c0 * log_x - c1 * f1 * bend)
    partials = {
        "a": 1.0,
        "b": falling / b,
        "c0": -log_x * falling,
        "c1": -f1 * bend * falling,
        "d1": c1 * share / d1 * falling,
        "f1": -c1 * (bend - past * share) * falling,
    }
    return a + falling, partials


def _softplus(z: Array) -> Array:
    """log(1 + exp(z)), for complex z too."""
    positive = z.real > 0
    return np.where(positive, z, 0) + np.log1p(np.exp(np.where(positive, -z, z)))


def _guess(columns: Columns, loss: Array) -> dict[str, Array]:
    """Starts that break at several places, with the limit and the coefficient solved for."""
    c0, c1, share, f1 = _TRIED
    log_x = np.log(columns["x"])
    log_d = log_x.min() + share * np.ptp(log_x)
    bend = _softplus((log_x - log_d[:, None]) / f1[:, None])
    fall = c0[:, None] * (log_x - log_x.mean()) + (c1 * f1)[:, None] * bend
    basis = np.stack(np.broadcast_arrays(1.0, np.exp(-fall)), axis=1)
    a, height = nonnegative_coefficients(basis, loss).T
    b = np.maximum(height, 1e-6) * np.exp(c0 * log_x.mean())
    return {"a": a, "b": b, "c0": c0, "c1": c1, "d1": np.exp(log_d), "f1": f1}


BNSL = register(
    Law(
        name="bnsl",
        formula="L = a + b x^-c0 (1 + (x / d1)^(1 / f1))^(-c1 f1)",
        source="Caballero et al. 2022, arXiv:2210.14891",
        columns={"x": "tokens D, model size N or FLOPs C; say which with x='D'"},
        parameters=(
            Parameter("a", low=0, meaning="loss or error at the end", role="floor"),
            Parameter("b", scale="log", meaning="coefficient"),
            Parameter(
                "c0",
                (0.0, 1.0),
                low=-5,
                high=5,
                meaning="exponent before the break",
                role="exponent",
            ),
            Parameter("c1", (-0.5, 1.5), low=-5, high=5, meaning="change of it at the break"),
            Parameter("d1", (1e6, 1e12), "log", unit="unit of x", meaning="where it breaks"),
            Parameter("f1", (0.1, 1.0), "log", 0.05, 20, meaning="width of the break"),
        ),
        value=_value,
        gradient=_gradient,
        guess=_guess,
    )
)
