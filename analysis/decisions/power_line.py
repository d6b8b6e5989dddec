"""The power law N* = G C^a of approaches 1 and 2, for the best fit and each resample."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from scalinglab.analysis.decisions.cost_functions import Cost
from scalinglab.analysis.decisions.isoflop import Minima
from scalinglab.analysis.decisions.optimum import tokens_for_budget
from scalinglab.analysis.intervals.spread import log_log_slope, values_with_intervals

Array = np.ndarray

_AROUND = np.exp([-0.1, 0.1])  # multiples of the mean budget from which D*'s growth is computed


@dataclass(frozen=True)
class PowerLine:
    """A straight line of log N* in log C.

    Attributes
    ----------
    coefficients : array, shape (1 + resamples, 2)
        Intercept and slope: the best, then of those resamples that have a line.
    lost : float
        Share of the resamples that have none.
    """

    coefficients: Array
    lost: float

    @classmethod
    def of(cls, coefficients: Array) -> PowerLine:
        """Leave out the resamples without a line, which are NaN.

        Whether resampled sizes enclose a best one is chance, and carries no information on it.
        """
        has_line = np.isfinite(coefficients).all(axis=1)
        lost = float(np.mean(~has_line[1:])) if has_line[0] and len(has_line) > 1 else 0.0
        return cls(np.concatenate([coefficients[:1], coefficients[1:][has_line[1:]]]), lost)

    @property
    def exists(self) -> bool:
        """Whether the points themselves have a line."""
        return bool(np.isfinite(self.coefficients[0]).all())

    def splits(self, budgets: Array, cost: Cost) -> tuple[Array, Array]:
        """N* and D* of each budget, each of shape (budgets, 1 + resamples)."""
        N = np.exp(self.coefficients[:, 0] + np.log(budgets)[:, None] * self.coefficients[:, 1])
        return N, np.stack([tokens_for_budget(cost, n, c) for n, c in zip(N, budgets, strict=True)])

    def rows(
        self, budgets: Array, cost: Cost, level: float, *, resampled: bool
    ) -> list[dict[str, Any]]:
        """One row per budget: ``C, N, D, tokens_per_parameter`` with intervals."""
        return [
            {
                "C": C,
                **values_with_intervals(
                    {"N": N, "D": D, "tokens_per_parameter": D / N}, level, resampled=resampled
                ),
            }
            for C, N, D in zip(budgets, *self.splits(budgets, cost), strict=True)
        ]

    def exponents(
        self, budgets: Array, cost: Cost, level: float, *, resampled: bool
    ) -> dict[str, float]:
        """``a, b`` of N* ~ C^a and D* ~ C^b around the mean budget, with intervals."""
        around = budgets.mean() * _AROUND
        D = self.splits(around, cost)[1]
        values = {"a": self.coefficients[:, 1], "b": log_log_slope(around, D)}
        return values_with_intervals(values, level, resampled=resampled)


def line_through(minima: Minima) -> Array:
    """Intercept and slope of log N* in log C, shape (1 + resamples, 2); NaN from one budget."""
    C = minima.found["C"].to_numpy(float)
    if len(C) < 2:
        return np.full((len(minima.drawn), 2), np.nan)
    slope = log_log_slope(C, np.exp(minima.drawn.T))
    is_found = np.isfinite(minima.drawn)
    middle = (is_found * np.log(C)).sum(1) / np.maximum(is_found.sum(1), 1)
    height = np.where(is_found, minima.drawn, 0).sum(1) / np.maximum(is_found.sum(1), 1)
    return np.stack([height - slope * middle, slope], axis=1)
