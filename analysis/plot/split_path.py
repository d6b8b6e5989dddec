"""The best splits along compute that figures of one law share, drawn wherever a split is best."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from scalinglab.analysis.decisions.allocation import splits_along
from scalinglab.analysis.decisions.cost_functions import SIX_ND, Cost
from scalinglab.analysis.plot.law_lines import LEVEL, inside_rows, run_table

if TYPE_CHECKING:
    from scalinglab.analysis.fitting.result import Result

_GRID = 72  # values of C
_ROOM = 1.5  # of compute, beyond the runs and the budgets


@dataclass(frozen=True)
class SplitPath:
    """Best splits from below the least compute of some runs to beyond the largest budget.

    Attributes
    ----------
    runs : DataFrame
        ``N, D, C, loss`` of the runs, C by the cost of the path.
    path, budgets : DataFrame
        ``C, N, D, tokens_per_parameter, loss`` with intervals: along the path, and at the budgets
        that were asked for. Budgets without a best split are left out.
    low, high : float
        The ends of the path.
    cost : callable
    level : float
        Level of the intervals.
    has_intervals : bool
    inside, budgets_inside : array of bool
        Whether each split along the path, and of each budget, lies in the fitted range.
    """

    runs: pd.DataFrame
    path: pd.DataFrame
    budgets: pd.DataFrame
    low: float
    high: float
    cost: Cost
    level: float
    has_intervals: bool
    inside: np.ndarray
    budgets_inside: np.ndarray


def split_path(
    result: Result,
    runs: pd.DataFrame,
    budgets: Iterable[float] = (),
    *,
    cost: Cost = SIX_ND,
    level: float = LEVEL,
) -> SplitPath:
    """Follow the best split of a law over the compute of its runs;
    parameters as `plot.best_size`.
    """
    table = run_table(result, runs)
    table["tokens_per_parameter"] = table["D"] / table["N"]
    table["C"] = cost(table["N"].to_numpy(float), table["D"].to_numpy(float))
    sorted_budgets = sorted(budgets)
    low, high = table["C"].min() / _ROOM, max([table["C"].max(), *sorted_budgets]) * _ROOM
    grid = np.geomspace(low, high, _GRID)
    path = splits_along(result, grid, cost=cost, level=level)
    answers = splits_along(result, sorted_budgets, cost=cost, level=level)
    return SplitPath(
        runs=table,
        path=path,
        budgets=answers,
        low=low,
        high=high,
        cost=cost,
        level=level,
        has_intervals=bool(len(result.draws)),
        inside=inside_rows(result, path),
        budgets_inside=inside_rows(result, answers),
    )
