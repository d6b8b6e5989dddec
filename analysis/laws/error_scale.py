"""The scale on which a prediction and a measurement are compared.

A loss is off by a share of itself: its errors are relative, and residuals are taken in logarithms.
An accuracy or a task error, which may be 0 and ends at 1, is off by an amount: its errors are
absolute, and residuals are in its own unit.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import numpy as np

Array = np.ndarray
Errors = Literal["relative", "absolute"]


@dataclass(frozen=True)
class ErrorScale:
    """Where residuals are differences.

    Attributes
    ----------
    name : {"relative", "absolute"}
    of : callable
        A response on this scale.
    back : callable
        The response of a value on this scale.
    slope : callable
        d scale / d response, at a response.
    low : float
        Every response lies above it.
    """

    name: Errors
    of: Callable[[Array], Array]
    back: Callable[[Array], Array]
    slope: Callable[[Array], Array]
    low: float

    def possible(self, value: Array) -> Array:
        """Responses, with NaN for what none can be: infinite or, of a loss, zero or negative.

        Parameters that a resample found may predict such values far from the points.
        """
        value = np.asarray(value, float)
        return np.where(np.isfinite(value) & (value > self.low), value, np.nan)

    def error(self, residual: Array) -> Array:
        """Error behind predicted - measured on this scale: a share, or an amount."""
        return np.expm1(residual) if self.name == "relative" else residual

    def say(self, error: float, digits: int = 2, sign: str = "") -> str:
        """An error in words: per cent of the response, or its own unit."""
        if self.name == "relative":
            return f"{error:{sign}.{digits}%}"
        return f"{error:{sign}.{digits + 2}f}"


def _same(value: Array) -> Array:
    return value


def _log(value: Array) -> Array:
    """NaN for a negative value, -inf for zero, without a warning: see `ErrorScale.possible`."""
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.log(value)


RELATIVE = ErrorScale("relative", _log, np.exp, lambda value: 1 / value, 0.0)
ERROR_SCALES: dict[str, ErrorScale] = {
    "relative": RELATIVE,
    "absolute": ErrorScale("absolute", _same, _same, np.ones_like, -np.inf),
}
