"""Power laws in one variable x: a size, a number of tokens or a compute budget."""

import numpy as np

from scalinglab.analysis.laws.law import Array, Law
from scalinglab.analysis.laws.nnls import nonnegative_coefficients
from scalinglab.analysis.laws.parameter import Parameter
from scalinglab.analysis.laws.registry import register

_KAPLAN = "Kaplan et al. 2020, arXiv:2001.08361"
_X = {"x": "model size N, tokens D or FLOPs C; say which with x='C'"}
_SCALE = Parameter("x0", (1e-3, 1e12), scale="log", unit="unit of x", meaning="scale of x")
_EXPONENT = Parameter("a", (0.02, 1.0), low=0, high=5, meaning="exponent", role="exponent")
_EXPONENTS = np.geomspace(0.02, 1.5, 24)  # tried as starts; the coefficients follow from each


def _power(x: Array, x0: Array, a: Array) -> Array:
    return np.exp(a * (np.log(x0) - np.log(x)))


def _power_partials(x: Array, x0: Array, a: Array) -> tuple[Array, dict[str, Array]]:
    log_ratio = np.log(x0) - np.log(x)
    power = np.exp(a * log_ratio)
    return power, {"x0": power * a / x0, "a": power * log_ratio}


def _above_constant(x: Array, L_inf: Array, x0: Array, a: Array) -> Array:
    return L_inf + _power(x, x0, a)


def _above_constant_partials(
    x: Array, L_inf: Array, x0: Array, a: Array
) -> tuple[Array, dict[str, Array]]:
    power, partials = _power_partials(x, x0, a)
    return L_inf + power, {"L_inf": np.array(1.0), **partials}


def _line(columns: dict[str, Array], loss: Array) -> dict[str, Array]:
    """Starts near the straight line of log loss against log x."""
    log_x, log_loss = np.log(columns["x"]), np.log(loss)
    a = np.maximum(-np.polyfit(log_x, log_loss, 1)[0], 1e-3) * np.array([0.5, 1.0, 2.0])
    return {"x0": np.exp(np.clip(log_x.mean() + log_loss.mean() / a, -100, 100)), "a": a}


def _bent_line(columns: dict[str, Array], loss: Array) -> dict[str, Array]:
    """Starts at many exponents, each with the best constant and scale."""
    a = _EXPONENTS[:, None]
    log_x = np.log(columns["x"])
    middle = log_x.mean()
    falling = np.exp(-a * (log_x - middle))
    basis = np.stack([np.ones_like(falling), falling], axis=1)
    constant, height = nonnegative_coefficients(basis, loss).T
    log_scale = middle + np.log(np.maximum(height, 1e-6)) / _EXPONENTS
    return {
        "L_inf": constant,
        "x0": np.exp(np.clip(log_scale, -100, 100)),
        "a": _EXPONENTS,
    }


def x_at_loss(loss: float, L_inf: float, x0: float, a: float) -> float:
    """x at which ``power_plus_constant`` gives a loss; inf where it never goes so low."""
    above = loss - L_inf
    return np.inf if above <= 0 else x0 * above ** (-1 / a)


POWER = register(
    Law(
        name="power",
        formula="L = (x0 / x)^a",
        source=_KAPLAN,
        columns=_X,
        parameters=(_SCALE, _EXPONENT),
        value=_power,
        gradient=_power_partials,
        guess=_line,
    )
)

POWER_PLUS_CONSTANT = register(
    Law(
        name="power_plus_constant",
        formula="L = L_inf + (x0 / x)^a",
        source=f"Henighan et al. 2020, arXiv:2010.14701; {_KAPLAN}",
        columns=_X,
        parameters=(
            Parameter("L_inf", low=0, unit="nats/token", meaning="irreducible loss", role="floor"),
            _SCALE,
            _EXPONENT,
        ),
        value=_above_constant,
        gradient=_above_constant_partials,
        linear=("L_inf",),
        guess=_bent_line,
    )
)
