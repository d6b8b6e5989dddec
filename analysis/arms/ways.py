"""The path of N and D along which the budgets of two arms grow, and where both have runs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd

from scalinglab.analysis.arms.both_arms import measured_by_arm
from scalinglab.analysis.arms.ladder import Ladder
from scalinglab.analysis.arms.scale import Arms, compute_along_ladder, law_of_arm
from scalinglab.analysis.decisions.optimum import best_split, compute_multiplier
from scalinglab.analysis.fitting.result import Result
from scalinglab.analysis.intervals.measured import Measured
from scalinglab.analysis.laws.law import Array, Columns

_VARIED = 0.25  # least standard deviation of log D at one N for which a best split is determined
_BEYOND_RATIOS = 2.0  # times beyond the measured D / N that a best split may lie
_GRID = 60


@dataclass(frozen=True)
class Way:
    """The path along which budgets grow, and the fitted range of both arms.

    Attributes
    ----------
    best : bool
        Whether budgets are split best; otherwise they follow `ladder`.
    ladder : Ladder
    arms : tuple of Measured
        The fitted range of each arm.
    """

    best: bool
    ladder: Ladder
    arms: tuple[Measured, ...]

    @classmethod
    def of(
        cls,
        fits: Sequence[tuple[str, Result]],
        arms: Arms,
        runs: pd.DataFrame,
        budgets: Sequence[float],
    ) -> Way:
        """The path for budgets of the second arm, from runs with ``N, D, _arm``."""
        best = _tells_splits(fits, arms, runs, budgets)
        return cls(best, Ladder.of(runs), measured_by_arm(runs, arms))

    def place(self, result: Result, arm: str, cost: Array) -> Columns:
        """N and D of an arm's best fit at each compute."""
        if not self.best:
            return dict(zip("ND", self.ladder.at(cost), strict=True))
        law, params = law_of_arm(result, arm)
        N, D = best_split(law, np.repeat(params[:1], len(cost), axis=0), cost)
        return {"N": N, "D": D}

    def inside(self, places: Sequence[Columns]) -> bool:
        """Whether each arm was measured around its place."""
        return all(
            bool(measured.inside(place).all())
            for place, measured in zip(places, self.arms, strict=True)
        )

    def measured(self, fits: Sequence[tuple[str, Result]], arms: Arms) -> list[float]:
        """The least and the largest compute at which both arms were measured where compared."""
        grid = np.geomspace(self.ladder.low, self.ladder.top, _GRID)
        is_inside = np.ones(len(grid), bool)
        for _, result in fits:
            candidate_place = self.place(result, arms[1], grid)
            both = (
                self.place(result, arms[0], self._worth(result, arms, candidate_place) * grid),
                candidate_place,
            )
            is_inside &= [self.inside([_row(place, k) for place in both]) for k in range(len(grid))]
        return (
            [float(grid[k]) for k in np.flatnonzero(is_inside)[[0, -1]]] if is_inside.any() else []
        )

    def _worth(self, result: Result, arms: Arms, place: Columns) -> Array:
        """The best fit's multiplier where the candidate is at some places; 1 where it is infinite."""
        if not self.best:
            best = replace(result, draws=result.draws.iloc[:0])
            costs = 6 * place["N"] * place["D"]
            ratios = compute_along_ladder(best, arms, self.ladder, costs)[0] / costs
            return np.where(np.isfinite(ratios), ratios, 1.0)
        (base, params), (candidate, candidate_params) = (law_of_arm(result, arm) for arm in arms)
        loss = candidate.predict(candidate_params[:1], place)[0]
        params = np.repeat(params[:1], len(loss), axis=0)
        return compute_multiplier(base, params, loss, 6 * place["N"] * place["D"])


def _row(place: Columns, k: int) -> Columns:
    return {name: column[k : k + 1] for name, column in place.items()}


def _tells_splits(
    fits: Sequence[tuple[str, Result]], arms: Arms, runs: pd.DataFrame, budgets: Sequence[float]
) -> bool:
    """Whether the runs of both arms determine the best split of a budget."""
    for arm in arms:
        arm_runs = runs[runs["_arm"] == arm]
        log_N, log_D = (np.log(arm_runs[name].to_numpy(float)) for name in ("N", "D"))
        if np.ptp(log_N) == 0 or _off_line(log_N, log_D) < _VARIED:
            return False
        low = np.exp((log_D - log_N).min()) / _BEYOND_RATIOS
        high = np.exp((log_D - log_N).max()) * _BEYOND_RATIOS
        for _, result in fits:
            law, params = law_of_arm(result, arm)
            for cost in budgets:
                N, D = best_split(law, params[:1], cost)
                if not low <= D[0] / N[0] <= high:
                    return False
    return True


def _off_line(x: Array, y: Array) -> float:
    """Standard deviation of y from its straight line in x."""
    return float(np.std(y - np.polyval(np.polyfit(x, y, 1), x)))
