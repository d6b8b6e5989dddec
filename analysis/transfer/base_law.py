"""The baseline's loss as a law in compute, and the compute that it needs for another loss."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

Array = np.ndarray

MOST = float(np.log(1e3))  # largest log multiplier, where the baseline hardly reaches the loss
_EXPONENTS = np.geomspace(0.01, 1.2, 60)
_ROUNDING = 1e-9  # relative fall of the loss below which it counts as constant
_LEAST = 3  # sizes that determine a floor


@dataclass(frozen=True)
class BaseLaw:
    """L = E + A (C / C0)^-a.

    Attributes
    ----------
    E, A, a : float
    C0 : float
        The geometric mean of the fitted compute.
    """

    E: float
    A: float
    a: float
    C0: float

    @property
    def falls(self) -> bool:
        """Whether more compute lowers the loss."""
        return self.A > 0

    def loss(self, C: Array | float) -> Array:
        """The loss at a compute."""
        return self.E + self._above(np.asarray(C, float))

    def slope(self, C: Array) -> Array:
        """-d log loss / d log C."""
        above = self._above(C)
        return self.a * above / (self.E + above)

    def log_multiplier(self, C: Array, log_ratio: Array) -> Array:
        """log of the compute for the loss at C times a ratio, over C; `MOST` at most."""
        above = self._above(C)
        if not self.falls:  # no compute changes the loss
            return np.copysign(MOST, -log_ratio)
        left = ((self.E + above) * np.exp(log_ratio) - self.E) / above
        return np.clip(-np.log(np.maximum(left, 1e-300)) / self.a, -MOST, MOST)

    def _above(self, C: Array) -> Array:
        return self.A * (C / self.C0) ** -self.a


def fit_base_law(C: Array, loss: Array) -> tuple[BaseLaw, list[BaseLaw]]:
    """The law of all sizes, and that of all but each: least squares of relative errors.

    A judge fits after every run, so all fits are made in one pass: for each of many exponents,
    E >= 0 and A >= 0 have a closed form. Two sizes determine no floor; it is 0 then.

    Parameters
    ----------
    C, loss : arrays, shape (sizes,)
    """
    count, C0 = len(C), float(np.exp(np.log(C).mean()))
    is_used = np.vstack([np.ones(count), 1 - np.eye(count)])[:, None, :]  # (refits, 1, sizes)
    constant, falling = 1 / loss, (C / C0) ** -_EXPONENTS[:, None] / loss
    to_one, to_falling = np.sum(is_used * constant, -1), np.sum(is_used * falling, -1)
    ones, both, fallings = (
        np.sum(is_used * product, -1) for product in (constant**2, constant * falling, falling**2)
    )
    with np.errstate(divide="ignore", invalid="ignore"):
        determinant = ones * fallings - both**2
        E = (to_one * fallings - to_falling * both) / determinant
        A = (ones * to_falling - both * to_one) / determinant
    no_floor = ~(E > 0) | (np.sum(is_used, -1) < _LEAST)
    E, A = np.where(no_floor, 0.0, E), np.where(no_floor, to_falling / fallings, A)
    flat = ~(A > _ROUNDING * loss.mean())
    E, A = np.where(flat, to_one / ones, E), np.where(flat, 0.0, A)
    best = np.argmax(E * to_one + A * to_falling, axis=1)  # the squares that are explained
    laws = [
        BaseLaw(float(E[k, g]), float(A[k, g]), float(_EXPONENTS[g]), C0)
        for k, g in enumerate(best)
    ]
    return laws[0], laws[1:]
