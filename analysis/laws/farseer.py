"""Farseer: a surface on which larger models learn from data at another rate than small ones.

Each of three quantities of the model is the exponential of a stretched power of its size: the loss
after endless data, the coefficient of the data and the exponent of the data.
"""

from __future__ import annotations

from itertools import product

import numpy as np

from analysis.laws.law import Array, Columns, Law, Parameter
from analysis.laws.registry import register
from analysis.nnls import nonnegative_coefficients

# Exponents q, b, a; then the data exponent of the smallest and of the largest model.
_TRIED = np.array(
    list(product((0.1, 0.25), (-0.2, -0.1), (0.1, 0.2), (0.35, 0.5, 0.8), (0.2, 0.4)))
).T
_FALL = 0.35  # of what stands in for the first two quantities while starts are made


def _value(
    N: Array,
    D: Array,
    s: Array,
    q: Array,
    S: Array,
    B: Array,
    b: Array,
    Q: Array,
    A: Array,
    a: Array,
    E: Array,
) -> Array:
    log_N = np.log(N)
    endless = np.exp(s * np.exp(q * log_N) + S)
    exponent = np.exp(A * np.exp(a * log_N) + E)
    return endless + np.exp(B * np.exp(b * log_N) + Q - exponent * np.log(D))


def _gradient(
    N: Array,
    D: Array,
    s: Array,
    q: Array,
    S: Array,
    B: Array,
    b: Array,
    Q: Array,
    A: Array,
    a: Array,
    E: Array,
) -> tuple[Array, dict[str, Array]]:
    log_N, log_D = np.log(N), np.log(D)
    to_q, to_b, to_a = np.exp(q * log_N), np.exp(b * log_N), np.exp(a * log_N)
    endless, exponent = np.exp(s * to_q + S), np.exp(A * to_a + E)
    learnt = np.exp(B * to_b + Q - exponent * log_D)
    slower = -exponent * log_D * learnt  # what log(exponent) does to the loss
    partials = {
        "s": endless * to_q,
        "q": endless * s * to_q * log_N,
        "S": endless,
        "B": learnt * to_b,
        "b": learnt * B * to_b * log_N,
        "Q": learnt,
        "A": slower * to_a,
        "a": slower * A * to_a * log_N,
        "E": slower,
    }
    return endless + learnt, partials


def _guess(columns: Columns, loss: Array) -> dict[str, Array]:
    """Starts that have a data exponent running between two values, and the rest solved for."""
    q, b, a, small, large = _TRIED
    log_N, log_D = np.log(columns["N"]), np.log(columns["D"])
    stretched = [np.exp(p[:, None] * log_N) for p in (q, b, a)]
    low, high = stretched[2].min(1), stretched[2].max(1)
    A = (np.log(large) - np.log(small)) / (high - low)
    E = np.log(small) - A * low
    exponent = np.exp(A[:, None] * stretched[2] + E[:, None])
    falling = np.exp(-_FALL * (log_N - log_N.min()))
    learnt = np.exp(-exponent * (log_D - log_D.mean()))
    basis = np.stack(np.broadcast_arrays(1.0, falling, learnt, learnt * falling), axis=1)
    c = nonnegative_coefficients(basis, loss)[:, :, None] + 1e-3
    endless = np.log(c[:, 0] + c[:, 1] * falling)
    coefficient = np.log(c[:, 2] + c[:, 3] * falling) + exponent * log_D.mean()
    (s, S), (B, Q) = _line(stretched[0], endless), _line(stretched[1], coefficient)
    return {"s": s, "q": q, "S": S, "B": B, "b": b, "Q": Q, "A": A, "a": a, "E": E}


def _line(x: Array, y: Array) -> tuple[Array, Array]:
    """Slope and intercept of each row."""
    away = x - x.mean(1, keepdims=True)
    slope = (away * y).sum(1) / (away**2).sum(1)
    return slope, y.mean(1) - slope * x.mean(1)


FARSEER = register(
    Law(
        name="farseer",
        formula="L = exp(s N^q + S) + exp(B N^b + Q) / D^exp(A N^a + E)",
        source="Li et al. 2025, arXiv:2506.10972",
        columns={"N": "model size in parameters", "D": "training tokens seen"},
        parameters=(
            Parameter("s", (-1.0, 1.0), meaning="endless data: coefficient of the size"),
            Parameter("q", (0.02, 0.6), low=-1, high=1, meaning="endless data: exponent"),
            Parameter("S", (-2.0, 2.0), meaning="endless data: offset"),
            Parameter("B", (-100, 100), meaning="data coefficient: coefficient of the size"),
            Parameter("b", (-0.4, 0.0), low=-1, high=1, meaning="data coefficient: exponent"),
            Parameter("Q", (-10, 10), meaning="data coefficient: offset"),
            Parameter("A", (-1.0, 1.0), meaning="data exponent: coefficient of the size"),
            Parameter("a", (0.02, 0.6), low=-1, high=1, meaning="data exponent: exponent"),
            Parameter("E", (-2.0, 2.0), meaning="data exponent: offset"),
        ),
        value=_value,
        gradient=_gradient,
        guess=_guess,
    )
)
