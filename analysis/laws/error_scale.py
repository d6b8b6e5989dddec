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
    """

    name: Errors
    of: Callable[[Array], Array]
    back: Callable[[Array], Array]
    slope: Callable[[Array], Array]

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


RELATIVE = ErrorScale("relative", np.log, np.exp, lambda value: 1 / value)
ERROR_SCALES: dict[str, ErrorScale] = {
    "relative": RELATIVE,
    "absolute": ErrorScale("absolute", _same, _same, np.ones_like),
}
