"""The cost of a residual: robust, quadratic or one-sided."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from scalinglab.analysis.laws.error_scale import ERROR_SCALES, Errors, ErrorScale
from scalinglab.scaling.errors import UserError
from scalinglab.scaling.fields import Within

Array = np.ndarray

DELTA = Within(1e-12, 1e12)  # far beyond either end, sums of squares leave what floats can hold

_ROUNDING = 1e-10  # residuals of a perfect fit
_OF_ITS_NAME: dict[str, Errors] = {"huber_log": "relative", "huber": "absolute"}
OBJECTIVES = ("huber_log", "huber", "least_squares", "asymmetric")


@dataclass(frozen=True)
class Objective:
    """Cost of residuals r = predicted - measured, on the scale of the errors.

    * ``huber_log``: of logarithms, the sum of r²/2 where |r| <= delta and delta (|r| - delta/2)
      beyond, as in Hoffmann et al. (arXiv:2203.15556). A sum and not a mean, and minimised in units
      of delta²: a mean is ~1e-6 and stops optimizers early (Besiroglu et al., arXiv:2404.10102).
    * ``huber``: the same sum of the responses themselves, delta in their unit: for accuracies and
      task errors, which may be 0.
    * ``least_squares``: the sum of r²/2.
    * ``asymmetric``: the sum of Huber's cost with predictions above the measurement costing
      `asymmetry` times as much, which fits the lower edge of noise that only ever adds loss.

    Attributes
    ----------
    name : str
        One of `OBJECTIVES`.
    delta, asymmetry : float
    errors : {"relative", "absolute"}
        Whether least_squares and asymmetric see logarithms or the responses themselves.

    Raises
    ------
    UserError
        If the name is not one of `OBJECTIVES`, or delta is out of its range.
    """

    name: str = "huber_log"
    delta: float = 1e-3
    asymmetry: float = 10.0
    errors: Errors = "relative"

    def __post_init__(self) -> None:
        if self.name not in OBJECTIVES:
            raise UserError(f"objective={self.name!r} is not one of {', '.join(OBJECTIVES)}")
        if self.delta not in DELTA:
            raise UserError(f"delta={self.delta!r}: allowed is {DELTA}")

    @classmethod
    def of(cls, name: str | None, delta: float, asymmetry: float, errors: Errors) -> Objective:
        """The objective of a name, for a law with relative or absolute errors; None is Huber's."""
        if name is None:
            name = next(n for n, its_errors in _OF_ITS_NAME.items() if its_errors == errors)
        return cls(name, delta, asymmetry, errors)

    @property
    def scale(self) -> ErrorScale:
        """The scale of the residuals."""
        return ERROR_SCALES[_OF_ITS_NAME.get(self.name, self.errors)]

    @property
    def squares(self) -> Objective:
        """Least squares on the same scale."""
        return Objective("least_squares", errors=self.scale.name)

    @property
    def unit(self) -> float:
        """The factor from minimised values to the objective in its published scale."""
        return 1.0 if self.name == "least_squares" else self.delta**2

    def cost(self, residual: Array) -> tuple[Array, Array]:
        """Cost and its first derivative at each residual, in units of `unit`."""
        slope = self.slope(residual)
        if self.name == "least_squares":
            return 0.5 * residual**2, slope
        size = np.abs(residual)
        inner = np.minimum(size, self.delta)
        cost = inner * (size - 0.5 * inner) / self.unit
        return cost * self._side(residual) if self.name == "asymmetric" else cost, slope

    def slope(self, residual: Array) -> Array:
        """First derivative of the cost at each residual, in units of `unit`."""
        if self.name == "least_squares":
            return residual
        slope = np.clip(residual, -self.delta, self.delta)
        slope /= self.unit
        return slope * self._side(residual) if self.name == "asymmetric" else slope

    def _side(self, residual: Array) -> Array:
        return np.where(residual > 0, self.asymmetry, 1.0)

    def curvature(self, residual: Array, caution: Array | float) -> Array:
        """Second derivative at each residual, plus `caution` times that of a quadratic bound.

        The Huber cost has no curvature beyond delta, where Newton's step is far too long. The
        quadratic that touches it from above there (iteratively reweighted least squares) makes
        steps that always descend, but slowly. `caution` in 0..1, shape (batch, 1), mixes the two.
        """
        if self.name == "least_squares":
            return np.ones_like(residual)
        size = np.abs(residual)
        bound = np.minimum(1, self.delta / np.maximum(size, self.delta))
        curvature = ((size <= self.delta) + caution * bound) / self.unit
        if self.name == "asymmetric":
            return curvature * self._side(residual)
        return curvature

    def information(self, residual: Array, free: int) -> float:
        """The factor from minimised values to a negative log-likelihood.

        Huber's cost at delta 1e-3 is nearly the absolute value and no likelihood; twice its rise,
        times E[psi'] / E[psi²], is chi-squared for one parameter held (the robust ratio test:
        Ronchetti 1982). Below the typical residual, E[psi'] is read off the share of residuals
        inside a band of that size: too few lie inside delta itself.
        """
        n = len(residual)
        wide = residual * np.sqrt(n / max(n - free, 1))  # a fit takes its part of the residuals
        _, slope = self.cost(wide)
        band = max(self.delta, float(np.median(np.abs(wide))))
        inside = float(np.mean(np.abs(wide) <= band)) * self.delta / band
        bend = (1.0 if self.name == "least_squares" else inside) / self.unit
        if self.name == "asymmetric":
            bend *= float(np.mean(self._side(wide)))
        return bend / max(float(np.mean(slope**2)), (_ROUNDING / self.unit) ** 2)
