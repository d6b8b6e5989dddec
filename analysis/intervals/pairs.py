"""Two arms by pairs of runs of equal size and seed: the difference, and whether it is resolved."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.special import stdtrit

from scalinglab.analysis.intervals.power import UNRESOLVED, least_effect, level_of_each

Array = np.ndarray


@dataclass(frozen=True)
class Paired:
    """The log loss of one arm minus that of another.

    Attributes
    ----------
    by_size : array
        Mean difference over seeds, for each size.
    mean, half : float
        Mean over sizes, and half the width of its interval (Student's; NaN without repeated seeds).
    least : float
        The smallest difference that is detected.
    """

    by_size: Array
    mean: float
    half: float
    least: float

    @property
    def resolved(self) -> bool:
        """Whether the difference is detected, and its interval excludes zero."""
        return abs(self.mean) >= self.least and abs(self.mean) > self.half

    @property
    def verdict(self) -> str:
        """The verdict in words."""
        if not self.resolved:
            return UNRESOLVED
        return "lower loss" if self.mean < 0 else "higher loss"

    @property
    def relative(self) -> tuple[float, float, float]:
        """The difference, and the ends of its interval, as shares of the loss."""
        lower, upper = self.mean - self.half, self.mean + self.half
        return float(np.expm1(self.mean)), float(np.expm1(lower)), float(np.expm1(upper))

    def told(self) -> str:
        """The difference with its interval, in percent."""
        mean, lower, upper = self.relative
        interval = f" ({lower:+.2%} to {upper:+.2%})" if np.isfinite(self.half) else ""
        return f"{mean:+.2%}{interval}"


def paired(differences: Array, noise: float, effects: int = 1) -> Paired:
    """Judge differences of log losses, shape (sizes, seeds).

    Parameters
    ----------
    differences : array
    noise : float
        Of a run's loss between seeds, relative, as it was planned with; that of the pairs counts
        if it is larger.
    effects : int
        How many such differences are judged together: the level is that of all of them.
    """
    sizes, seeds = differences.shape
    freedom, by_size = sizes * (seeds - 1), differences.mean(1)
    half = np.nan
    if freedom:
        spread = np.sqrt(((differences - by_size[:, None]) ** 2).sum() / freedom)
        quantile = stdtrit(freedom, (1 + level_of_each(effects)) / 2)
        half = float(quantile * spread / np.sqrt(differences.size))
        noise = max(noise, spread / np.sqrt(2))  # pairs may scatter by more than was planned with
    least = least_effect(noise, differences.size, freedom, effects)
    return Paired(by_size, float(differences.mean()), half, least)
