"""One unknown of a law: its bounds, where to start, and the coordinate in which it is moved."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike

Array = np.ndarray
Scale = Literal["linear", "log", "complement"]
Role = Literal["floor", "exponent", ""]

NO_PRIORS = "none"  # in place of priors: not even those of the law

_FARTHEST = np.log(1e50)  # a log-scale parameter lives in 1e-50 .. 1e50 unless bounded


@dataclass(frozen=True)
class Parameter:
    """One unknown of a law.

    Attributes
    ----------
    name : str
    start : tuple of float
        Range in which starts are drawn, evenly on the parameter's scale. Not needed for the
        parameters that the law names in `linear`: those are solved for.
    scale : {"linear", "log", "complement"}
        What the fitter moves: the value, its logarithm, or log(1 - value) (a decay just below 1).
    low, high : float
        Bounds of the value. A fit that ends on one says so.
    unit, meaning : str
        For tables and documentation.
    prior : tuple of float, optional
        (value, standard deviation) that every fit takes as its prior unless told another; for
        parameters that curves leave open. The law says where it comes from.
    role : {"floor", "exponent", ""}
        What the parameter does in the law, where answers treat it specially: the loss that nothing
        lowers, or the exponent of a power law.
    """

    name: str
    start: tuple[float, float] = (1.0, 1.0)
    scale: Scale = "linear"
    low: float = -np.inf
    high: float = np.inf
    unit: str = ""
    meaning: str = ""
    prior: tuple[float, float] | None = None
    role: Role = ""

    def to_unconstrained(self, value: ArrayLike) -> Array:
        """The internal coordinate of a value."""
        values = np.asarray(value, float)
        with np.errstate(divide="ignore", invalid="ignore"):
            if self.scale == "log":
                return np.maximum(np.log(values), -_FARTHEST)
            return np.log(1 - values) if self.scale == "complement" else values

    def from_unconstrained(self, internal: Array) -> Array:
        """The value at an internal coordinate."""
        if self.scale == "log":
            return np.exp(internal)
        return 1 - np.exp(internal) if self.scale == "complement" else internal

    def slope(self, value: Array) -> Array:
        """d value / d internal coordinate, at a value."""
        if self.scale == "log":
            return value
        return value - 1 if self.scale == "complement" else np.ones_like(value)

    def limits(self) -> tuple[float, float]:
        """Lowest and highest internal coordinate."""
        if self.scale == "log":
            low, high = (
                float(self.to_unconstrained(max(self.low, 0.0))),
                float(self.to_unconstrained(self.high)),
            )
            return low, min(high, _FARTHEST)
        if self.scale == "complement":  # log(1 - value) falls as the value rises
            return float(self.to_unconstrained(self.high)), float(self.to_unconstrained(self.low))
        return self.low, self.high

    def max_step(self) -> float:
        """Longest step, in the internal coordinate, that the fitter takes at once."""
        if self.scale == "log":
            return 4.0
        width = abs(
            float(self.to_unconstrained(self.start[1]) - self.to_unconstrained(self.start[0]))
        )
        return 0.5 * width if width > 0 else np.inf
