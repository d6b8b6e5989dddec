"""Farseer: a surface on which larger models learn from data at another rate than small ones.

    L = E(N) + B(N) / D^beta(N)

The logarithm of each of the three, of E say, is log E + E_slope (n^E_bend - 1) / E_bend with
n = N / 1e9. The paper writes it as s N^q + S, which is the same family (see `as_published`), but
there s and S run away as q nears 0, where the data usually want it; here E is the value at a
billion parameters, and a bend of 0 is a plain power law.
"""

from __future__ import annotations

from collections.abc import Mapping
from itertools import product

import numpy as np

from scalinglab.analysis.laws.law import Array, Columns, Law
from scalinglab.analysis.laws.nnls import nonnegative_coefficients
from scalinglab.analysis.laws.parameter import Parameter
from scalinglab.analysis.laws.registry import register

_UNIT = 1e9
_STRAIGHT = 1e-4  # below this a series stands for the stretched power

# Bends of the three; then the data exponent of the smallest and of the largest model.
_TRIED = np.array(list(product((-0.2, 0.2), (-0.2, 0.0), (-0.2, 0.2), (0.35, 0.8), (0.2, 0.4)))).T
_FALL = 0.35  # of what stands in for E and B while starts are made


def _stretched(log_n: Array, bend: Array) -> tuple[Array, Array]:
    """(n^bend - 1) / bend and its derivative in `bend`; log n and log² n / 2 at a bend of 0."""
    x = bend * log_n
    straight = np.abs(x) < _STRAIGHT
    safe = np.where(np.abs(bend) < 1e-12, 1e-12, bend)
    value = np.expm1(safe * log_n) / safe
    value = np.where(straight, log_n * (1 + x / 2 + x**2 / 6), value)
    slope = (log_n * np.exp(x) - value) / safe
    return value, np.where(straight, log_n**2 * (1 / 2 + x / 3 + x**2 / 8), slope)


def _value(
    N: Array,
    D: Array,
    E: Array,
    E_slope: Array,
    E_bend: Array,
    B: Array,
    B_slope: Array,
    B_bend: Array,
    beta: Array,
    beta_slope: Array,
    beta_bend: Array,
) -> Array:
    log_n = np.log(N / _UNIT)
    endless = E * np.exp(E_slope * _stretched(log_n, E_bend)[0])
    exponent = beta * np.exp(beta_slope * _stretched(log_n, beta_bend)[0])
    return endless + B * np.exp(B_slope * _stretched(log_n, B_bend)[0] - exponent * np.log(D))


def _gradient(
    N: Array,
    D: Array,
    E: Array,
    E_slope: Array,
    E_bend: Array,
    B: Array,
    B_slope: Array,
    B_bend: Array,
    beta: Array,
    beta_slope: Array,
    beta_bend: Array,
) -> tuple[Array, dict[str, Array]]:
    log_n, log_D = np.log(N / _UNIT), np.log(D)
    (of_E, E_bent), (of_B, B_bent) = _stretched(log_n, E_bend), _stretched(log_n, B_bend)
    of_beta, beta_bent = _stretched(log_n, beta_bend)
    endless = E * np.exp(E_slope * of_E)
    exponent = beta * np.exp(beta_slope * of_beta)
    learnt = B * np.exp(B_slope * of_B - exponent * log_D)
    slower = -exponent * log_D * learnt  # what log(exponent) does to the loss
    partials = {
        "E": endless / E,
        "E_slope": endless * of_E,
        "E_bend": endless * E_slope * E_bent,
        "B": learnt / B,
        "B_slope": learnt * of_B,
        "B_bend": learnt * B_slope * B_bent,
        "beta": slower / beta,
        "beta_slope": slower * of_beta,
        "beta_bend": slower * beta_slope * beta_bent,
    }
    return endless + learnt, partials


def _guess(columns: Columns, loss: Array) -> dict[str, Array]:
    """Starts with a data exponent that runs between two values, and the rest solved for."""
    E_bend, B_bend, beta_bend, small, large = (tried[:, None] for tried in _TRIED)
    log_n, log_D = np.log(columns["N"] / _UNIT), np.log(columns["D"])
    of_beta = _stretched(log_n, beta_bend)[0]
    low, high = of_beta.min(1, keepdims=True), of_beta.max(1, keepdims=True)
    beta_slope = np.log(large / small) / (high - low)
    log_beta = np.log(small) - beta_slope * low
    exponent = np.exp(log_beta + beta_slope * of_beta)
    falling = np.exp(-_FALL * (log_n - log_n.min()))
    learnt = np.exp(-exponent * (log_D - log_D.mean()))
    basis = np.stack(np.broadcast_arrays(1.0, falling, learnt, learnt * falling), axis=1)
    c = nonnegative_coefficients(basis, loss)[:, :, None] + 1e-3
    endless = np.log(c[:, 0] + c[:, 1] * falling)
    coefficient = np.log(c[:, 2] + c[:, 3] * falling) + exponent * log_D.mean()
    E_slope, log_E = _line(_stretched(log_n, E_bend)[0], endless)
    B_slope, log_B = _line(_stretched(log_n, B_bend)[0], coefficient)
    starts = {
        "E": np.exp(log_E),
        "E_slope": E_slope,
        "E_bend": E_bend,
        "B": np.exp(log_B),
        "B_slope": B_slope,
        "B_bend": B_bend,
        "beta": np.exp(log_beta),
        "beta_slope": beta_slope,
        "beta_bend": beta_bend,
    }
    return {name: start.ravel() for name, start in starts.items()}


def _line(x: Array, y: Array) -> tuple[Array, Array]:
    """Slope and intercept of each row."""
    away = x - x.mean(1, keepdims=True)
    slope = (away * y).sum(1) / (away**2).sum(1)
    return slope, y.mean(1) - slope * x.mean(1)


def as_published(params: Mapping[str, float]) -> dict[str, float]:
    """The nine constants of L = exp(s N^q + S) + exp(B N^b + Q) / D^exp(A N^a + E).

    Examples
    --------
    >>> from scalinglab.analysis.laws.farseer import as_published
    >>> at_a_billion = {"E": 1.8, "E_slope": -0.1, "E_bend": 0.2, "B": 500.0, "B_slope": -0.9}
    >>> at_a_billion |= {"B_bend": -0.1, "beta": 0.3, "beta_slope": -0.2, "beta_bend": 0.12}
    >>> round(as_published(at_a_billion)["q"], 3)
    0.2
    """
    letters = {"E": ("s", "q", "S"), "B": ("B", "b", "Q"), "beta": ("A", "a", "E")}
    published: dict[str, float] = {}
    for name, (factor, power, offset) in letters.items():
        bend = params[f"{name}_bend"]
        height = params[f"{name}_slope"] / bend
        published |= {
            factor: height * _UNIT**-bend,
            power: bend,
            offset: float(np.log(params[name]) - height),
        }
    return published


def _three(name: str, start: tuple[float, float], meaning: str) -> tuple[Parameter, ...]:
    return (
        Parameter(name, start, "log", meaning=f"{meaning}, at 1e9 parameters"),
        Parameter(f"{name}_slope", (-1.0, 0.2), low=-10, high=10, meaning="its exponent there"),
        Parameter(f"{name}_bend", (-0.4, 0.4), low=-1, high=1, meaning="how that changes with N"),
    )


FARSEER = register(
    Law(
        name="farseer",
        formula="L = E(N) + B(N) / D^beta(N), log E(N) = log E + E_slope (n^E_bend - 1) / E_bend"
        " and so on, n = N / 1e9",
        source="Li et al. 2025, arXiv:2506.10972",
        columns={"N": "model size in parameters", "D": "training tokens seen"},
        parameters=(
            *_three("E", (1.0, 3.0), "loss after endless data"),
            *_three("B", (1e2, 1e5), "data coefficient"),
            *_three("beta", (0.1, 1.0), "data exponent"),
        ),
        value=_value,
        gradient=_gradient,
        guess=_guess,
    )
)
