"""The least effect that a comparison of arms detects, before anything is trained.

A difference of two arms is a mean over pairs of runs, one seed and size each, and is tested by
Student's t. At a power of 80 % it is found if it is as large as (t(1 - 0.025) + t(0.8)) standard
errors of that mean. Both runs of a pair scatter, so a pair has the noise of a run times sqrt(2).
Noise that a seed causes in both arms alike would cancel; that is not assumed.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import pandas as pd
from scipy.special import stdtrit

POWER = 0.8
LEVEL = 0.95  # two-sided
UNRESOLVED = "not resolved"
PLANNED_NOISE = 0.005  # of a run's loss, where no design says


@dataclass(frozen=True)
class Design:
    """Which effects a comparison of arms can detect.

    Attributes
    ----------
    arm : str
        Column that distinguishes the arms.
    arms, sizes : int
        Arms, and sizes that each of them has at least.
    seeds : int
        Seeds of each arm and size, at least.
    trials : (int, int)
        Fewest and most learning rates of an arm and size.
    noise : float
        Standard deviation of a run's loss between seeds, relative.
    """

    arm: str
    arms: int
    sizes: int
    seeds: int
    trials: tuple[int, int]
    noise: float

    @property
    def least(self) -> float:
        """The least relative difference of the loss that is detected over all sizes together."""
        return least_effect(self.noise, self.sizes * self.seeds, self.sizes * (self.seeds - 1))

    @property
    def least_at_a_size(self) -> float:
        """The least relative difference that is detected at one size."""
        return least_effect(self.noise, self.seeds, self.sizes * (self.seeds - 1))

    @property
    def warnings(self) -> list[str]:
        """Properties of the design that make any verdict doubtful."""
        sentences = []
        if self.seeds < 2:
            sentences.append(
                f"no seed is repeated: no effect of {self.arm} can be told from noise; two seeds "
                "an arm and size are the least"
            )
        if self.trials[0] != self.trials[1]:
            sentences.append(
                f"arms and sizes have {self.trials[0]} to {self.trials[1]} learning rates: who has "
                "more trials is lucky more often"
            )
        return sentences

    def sentence(self) -> str:
        """The smallest difference that is detected, and how smaller ones are reported."""
        if not math.isfinite(self.least):
            return f"least effect that the design detects: none, {self.warnings[0]}"
        at_one_size = f", {self.least_at_a_size:.2%} at one size" if self.sizes > 1 else ""
        sizes = f" over {self.sizes} sizes" if self.sizes > 1 else ""
        return (
            f"least effect that the design detects at {POWER:.0%} power: {self.least:.2%} of the "
            f"loss between two of the {self.arms} arms{sizes}{at_one_size} ({self.seeds} seeds, "
            f"{self.trials[0]} learning rate{'s' * (self.trials[0] != 1)} an arm and size, "
            f"{self.noise:.2%} of noise between seeds); a smaller one is {UNRESOLVED!r}"
        )


def least_effect(noise: float, pairs: int, freedom: int) -> float:
    """The least relative difference of two arms that is detected; infinite where none is.

    Parameters
    ----------
    noise : float
        Standard deviation of a run's loss, relative.
    pairs : int
        Number of pairs over which the difference is a mean.
    freedom : int
        Degrees of freedom of its error.
    """
    if freedom < 1 or pairs < 1:
        return math.inf
    quantiles = stdtrit(freedom, (1 + LEVEL) / 2) + stdtrit(freedom, POWER)
    return float(quantiles * noise * math.sqrt(2 / pairs))


def design_of(runs: pd.DataFrame, arm: str, noise: float) -> Design | None:
    """The design of planned or finished runs; None where there are no two arms of sizes.

    Parameters
    ----------
    runs : DataFrame
        ``N, D, lr, seed`` and `arm`.
    arm : str
        Column that distinguishes the arms.
    noise : float
        Standard deviation of a run's loss between seeds, relative.
    """
    if arm not in runs or runs[arm].nunique() < 2:
        return None
    cells = runs.groupby([arm, "N", "D"])
    trials = cells["lr"].nunique()
    return Design(
        arm,
        int(runs[arm].nunique()),
        int(runs.groupby(arm)["N"].nunique().min()),
        int(cells["seed"].nunique().min()),
        (int(trials.min()), int(trials.max())),
        noise,
    )
