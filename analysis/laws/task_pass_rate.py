"""How often a model solves a task: -log(pass rate) falls as a power law.

The rate of one success in thousands of samples is as good a measurement as one in two, if enough is
sampled: sample until a number of successes. That gives every rate the same relative error, so
residuals are taken in the logarithm of the rate.
"""

from __future__ import annotations

import numpy as np

from scalinglab.analysis.laws.law import Array, Columns, Law
from scalinglab.analysis.laws.parameter import Parameter
from scalinglab.analysis.laws.registry import register
from scalinglab.scaling.errors import UserError

_TURNS = np.array([0.5, 1.0, 2.0])  # starts: the straight line of log(-log rate), and turned
_SURE = 1 - 1e-9  # a rate of 1 has no -log


def _value(x: Array, x0: Array, a: Array) -> Array:
    return np.exp(-np.exp(a * (np.log(x0) - np.log(x))))


def _gradient(x: Array, x0: Array, a: Array) -> tuple[Array, dict[str, Array]]:
    log_ratio = np.log(x0) - np.log(x)
    failing = np.exp(a * log_ratio)
    rate = np.exp(-failing)
    return rate, {"x0": -rate * failing * a / x0, "a": -rate * failing * log_ratio}


def _guess(columns: Columns, rate: Array) -> dict[str, Array]:
    log_x, failing = np.log(columns["x"]), np.log(-np.log(np.minimum(rate, _SURE)))
    a = np.maximum(-np.polyfit(log_x, failing, 1)[0], 1e-3) * _TURNS
    return {"x0": np.exp(np.clip(log_x.mean() + failing.mean() / a, -100, 100)), "a": a}


def pass_rate(successes: Array, samples: Array) -> tuple[Array, Array]:
    """The rate of success and its relative error, for the option `noise` of `analysis.fit`.

    Parameters
    ----------
    successes, samples : array, shape (n,)
        Sampling stopped at the last success.

    Returns
    -------
    rate, noise : array, shape (n,)
        ``successes / samples``, and the standard deviation of its logarithm, about
        ``sqrt((1 - rate) / successes)``.

    Raises
    ------
    UserError
        If there was no success, or there were more than samples.
    """
    successes, samples = np.asarray(successes, float), np.asarray(samples, float)
    if not ((successes >= 1) & (successes <= samples)).all():
        raise UserError("successes must be at least 1, sample until there is one, and <= samples")
    rate = successes / samples
    return rate, np.sqrt(np.maximum(1 - rate, 1 / (samples + 1)) / successes)


TASK_PASS_RATE = register(
    Law(
        name="task_pass_rate",
        formula="-log(pass rate) = (x0 / x)^a",
        source="Hu et al. 2023, arXiv:2310.03262, equation 3",
        columns={"x": "model size N or FLOPs C; say which with x='N'"},
        response="pass_rate",
        span=(0.0, 1.0),
        parameters=(
            Parameter("x0", (1e-3, 1e12), "log", unit="unit of x", meaning="where the rate is 1/e"),
            Parameter("a", (0.02, 1.0), low=0, high=5, meaning="exponent", role="exponent"),
        ),
        value=_value,
        gradient=_gradient,
        guess=_guess,
    )
)
