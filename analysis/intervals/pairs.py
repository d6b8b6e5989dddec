"""Two arms by pairs of runs of equal size and seed: the difference, and whether it is resolved."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.special import stdtr, stdtrit

from scalinglab.analysis.intervals.power import LEVEL, UNRESOLVED, least_effect

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
    chance : float
        Of a mean as far from zero if the arms do not differ, either way (NaN without repeats).
    """

    by_size: Array
    mean: float
    half: float
    least: float
    chance: float

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


def paired(differences: Array, noise: float) -> Paired:
    """Judge differences of log losses, shape (sizes, seeds).

    Parameters
    ----------
    differences : array
    noise : float
        Of a run's loss between seeds, relative, as it was planned with; that of the pairs counts
        if it is larger.
    """
    sizes, seeds = differences.shape
    freedom, by_size = sizes * (seeds - 1), differences.mean(1)
    mean, half, chance = float(differences.mean()), np.nan, np.nan
    if freedom:
        spread = np.sqrt(((differences - by_size[:, None]) ** 2).sum() / freedom)
        error = float(spread / np.sqrt(differences.size))
        half = float(stdtrit(freedom, (1 + LEVEL) / 2)) * error
        if error > 0:
            chance = 2 * float(stdtr(freedom, -abs(mean) / error))
        else:
            chance = float(mean == 0)
        noise = max(noise, spread / np.sqrt(2))  # pairs may scatter by more than was planned with
    least = least_effect(noise, differences.size, freedom)
    return Paired(by_size, mean, half, least, chance)
