"""Power laws in one variable: plain, above a constant, shifted, and between two plateaus.

M1 to M4 of Alabdulmohsin et al., each holding the one before it. M1 and M2 are `power` and
`power_plus_constant` with a coefficient in place of a scale; `shifted_power` is M3 in the letters
of arXiv:2506.04598. M4 is an equation in the loss, (L - e) / (e0 - L)^a = b x^-c, solved for it.
"""

from __future__ import annotations

from itertools import product

import numpy as np

from scalinglab.analysis.laws.law import Array, Columns, Law
from scalinglab.analysis.laws.nnls import nonnegative_coefficients
from scalinglab.analysis.laws.parameter import Parameter
from scalinglab.analysis.laws.registry import register

_SOURCE = "Alabdulmohsin et al. 2022, arXiv:2209.06640"
_X = {"x": "tokens D, model size N or FLOPs C; say which with x='D'"}
_COEFFICIENT = Parameter("b", scale="log", meaning="coefficient")
_EXPONENT = Parameter("c", (0.02, 1.5), low=0, high=5, meaning="exponent", role="exponent")
_SHIFT = Parameter("d", (1.0, 1e6), scale="log", unit="unit of x", meaning="shift of x")
_PLATEAU = Parameter("e", low=0, unit="nats/token", meaning="loss at the end", role="floor")

_EXPONENTS = np.geomspace(0.02, 2.0, 16)
_SHIFTED = np.array(list(product(np.geomspace(0.05, 2.0, 8), (0.01, 0.3, 3.0, 30.0)))).T
_BOUNDED = np.array(list(product((0.05, 0.5, 0.9), (1.05, 2.0), (0.3, 1.0, 3.0)))).T
_NEWTON_STEPS = 60


def _m1(x: Array, b: Array, c: Array) -> Array:
    return np.exp(np.log(b) - c * np.log(x))


def _m2(x: Array, b: Array, c: Array, e: Array) -> Array:
    return _m1(x, b, c) + e


def _m3(x: Array, b: Array, c: Array, d: Array, e: Array) -> Array:
    return _m1(x + d, b, c) + e


def _m4(x: Array, b: Array, c: Array, e: Array, e0: Array, a: Array) -> Array:
    height = e0 - e
    right = np.log(b) - c * np.log(x) + (a - 1) * np.log(height)
    return e + height * np.exp(-_softplus(-_plateau_logit(right, a)))


def _m4_gradient(
    x: Array, b: Array, c: Array, e: Array, e0: Array, a: Array
) -> tuple[Array, dict[str, Array]]:
    """By the equation itself: log(L - e) - a log(e0 - L) = log b - c log x."""
    height, log_x = e0 - e, np.log(x)
    z = _plateau_logit(np.log(b) - c * log_x + (a - 1) * np.log(height), a)
    below, above = height * np.exp(-_softplus(-z)), height * np.exp(-_softplus(z))
    slope = 1 / (1 / below + a / above)
    partials = {
        "b": slope / b,
        "c": -slope * log_x,
        "e": slope / below,
        "e0": slope * a / above,
        "a": slope * np.log(above),
    }
    return e + below, partials


def _plateau_logit(right: Array, a: Array) -> Array:
    """z where log y - a log(1 - y) = right, y = 1 / (1 + exp(-z)).

    In z the left side has a slope between 1 and a and no inflection, so Newton's method converges
    from anywhere. One step more than the real part needs carries a complex step through.
    """
    z = np.where(right.real < 0, right, right / a)
    for _ in range(_NEWTON_STEPS):
        y = np.exp(-_softplus(-z))
        step = (a * _softplus(z) - _softplus(-z) - right) / (1 - y + a * y)
        z = z - step
        if not (np.abs(step.real) > 1e-13 * (1 + np.abs(z.real))).any():
            break
    y = np.exp(-_softplus(-z))
    return z - (a * _softplus(z) - _softplus(-z) - right) / (1 - y + a * y)


def _softplus(z: Array) -> Array:
    """log(1 + exp(z)), for complex z too."""
    positive = z.real > 0
    return np.where(positive, z, 0) + np.log1p(np.exp(np.where(positive, -z, z)))


def _line(columns: Columns, loss: Array) -> dict[str, Array]:
    """Starts near the straight line of log loss against log x."""
    log_x, log_loss = np.log(columns["x"]), np.log(loss)
    c = np.maximum(-np.polyfit(log_x, log_loss, 1)[0], 1e-3) * np.array([0.5, 1.0, 2.0])
    return {"b": np.exp(log_loss.mean() + c * log_x.mean()), "c": c}


def _bent_line(columns: Columns, loss: Array) -> dict[str, Array]:
    b, e = _above_constant(columns["x"], loss, _EXPONENTS, np.zeros_like(_EXPONENTS))
    return {"b": b, "c": _EXPONENTS, "e": e}


def _shifted(columns: Columns, loss: Array) -> dict[str, Array]:
    c, share = _SHIFTED
    d = share * np.exp(np.log(columns["x"]).mean())
    b, e = _above_constant(columns["x"], loss, c, d)
    return {"b": b, "c": c, "d": d, "e": e}


def _above_constant(x: Array, loss: Array, c: Array, d: Array) -> tuple[Array, Array]:
    """The coefficient and the constant that suit each exponent and shift, shape (starts,)."""
    log_x = np.log(x + d[:, None])
    middle = log_x.mean(1)
    falling = np.exp(-c[:, None] * (log_x - middle[:, None]))
    basis = np.stack([falling, np.ones_like(falling)], axis=1)
    height, e = nonnegative_coefficients(basis, loss).T
    return np.exp(np.clip(np.log(np.maximum(height, 1e-6)) + c * middle, -100, 100)), e


def _between_plateaus(columns: Columns, loss: Array) -> dict[str, Array]:
    low, high, a = _BOUNDED
    e, e0 = low * loss.min(), high * loss.max()
    log_x = np.log(columns["x"])
    left = np.log(loss - e[:, None]) - a[:, None] * np.log(e0[:, None] - loss)
    away = log_x - log_x.mean()
    c = np.clip(-(left @ away) / (away @ away), 0.02, 5)
    b = np.exp(np.clip(left.mean(1) + c * log_x.mean(), -100, 100))
    return {"b": b, "c": c, "e": e, "e0": e0, "a": a}


def _shifted_power(x: Array, a: Array, b: Array, c: Array, d: Array) -> Array:
    return _m3(x, a, c, b, d)


def _guess_shifted_power(columns: Columns, loss: Array) -> dict[str, Array]:
    start = _shifted(columns, loss)
    return {"a": start["b"], "b": start["d"], "c": start["c"], "d": start["e"]}


M1 = register(
    Law(
        name="m1",
        formula="L = b x^-c",
        source=_SOURCE,
        columns=_X,
        parameters=(_COEFFICIENT, _EXPONENT),
        value=_m1,
        guess=_line,
    )
)

M2 = register(
    Law(
        name="m2",
        formula="L = b x^-c + e",
        source=_SOURCE,
        columns=_X,
        parameters=(_COEFFICIENT, _EXPONENT, _PLATEAU),
        value=_m2,
        guess=_bent_line,
    )
)

M3 = register(
    Law(
        name="m3",
        formula="L = b (x + d)^-c + e",
        source=_SOURCE,
        columns=_X,
        parameters=(_COEFFICIENT, _EXPONENT, _SHIFT, _PLATEAU),
        value=_m3,
        guess=_shifted,
    )
)

M4 = register(
    Law(
        name="m4",
        formula="(L - e) / (e0 - L)^a = b x^-c",
        source=_SOURCE,
        columns=_X,
        parameters=(
            _COEFFICIENT,
            _EXPONENT,
            _PLATEAU,
            Parameter("e0", (2.0, 12.0), "log", unit="nats/token", meaning="loss at the start"),
            Parameter("a", (0.3, 3.0), low=0.05, high=20, meaning="how slowly the start is left"),
        ),
        value=_m4,
        gradient=_m4_gradient,
        guess=_between_plateaus,
    )
)

SHIFTED_POWER = register(
    Law(
        name="shifted_power",
        formula="L = a (x + b)^-c + d",
        source="Nezhurina et al. 2025, arXiv:2506.04598",
        columns=_X,
        parameters=(
            Parameter("a", scale="log", meaning="coefficient"),
            Parameter("b", (1.0, 1e6), scale="log", unit="unit of x", meaning="shift of x"),
            _EXPONENT,
            Parameter("d", low=0, meaning="loss or error at the end", role="floor"),
        ),
        value=_shifted_power,
        guess=_guess_shifted_power,
    )
)
