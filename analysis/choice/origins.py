"""Origins: which points are held out to test the predictions of a law.

An origin leaves out the top k of K budgets, or all curves of some schedules. An error that changes
its sign with distance may be zero one step ahead. So origins lie as far apart as the data allow,
and every point above an origin is predicted, not only the next step.

All checkpoints of a run are on one side: a fit to a run's earlier losses predicts its later ones
without knowing anything about larger runs.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

Array = np.ndarray

_ONE_BUDGET = 1.5  # runs within this factor of the largest are of one budget
_FEWEST = 3  # runs of a budget
_SEEN = 0.25  # of the points, at least
_MOST = 8  # origins
_LEAST_RUNS = 3  # that have several rows each, to be fitted
SHARES = (0.0, 0.15, 0.3, 0.45, 0.6)  # of the points seen, left out from below: windows of scales


@dataclass(frozen=True)
class Origin:
    """The points that are fitted and predicted at one origin, and how far ahead these lie.

    Attributes
    ----------
    label : str
        The points that are left out, in words.
    seen : array of bool, shape (n,)
        Rows that are fitted.
    asked : array of bool, shape (n,)
        Rows that are predicted.
    distance : array, shape (n,)
        Logarithm of how many times beyond the largest seen budget each row lies; 0 of curves.
    below : float
        Logarithm of how many times that budget lies below the largest of all; 0 of curves.
    """

    label: str
    seen: Array
    asked: Array
    distance: Array
    below: float = 0.0


def levels(values: Array) -> Array:
    """The budget of each row, numbered from the smallest.

    Values within a factor of 1.5 of the largest form a budget, and at least three values do: on a
    ladder every run has its own compute.
    """
    order = np.argsort(-values, kind="stable")
    number = np.empty(len(values), int)
    top, points, at = np.inf, _FEWEST, -1
    for row in order:
        if values[row] * _ONE_BUDGET < top and points >= _FEWEST:
            top, points, at = values[row], 0, at + 1
        number[row] = at
        points += 1
    if points < _FEWEST and at > 0:  # too few are left for one of their own
        number[number == at] = at - 1
        at -= 1
    return at - number


def budget_origins(budget: Array, fewest: int, run: Array | None = None) -> list[Origin]:
    """Origins that leave out the top k budgets; `fewest` rows must be left to fit.

    If rows are checkpoints of a `run` (n,), each run is left out whole, by the largest of its
    budgets, and its rows beyond all fitted budgets are predicted.
    """
    level = levels(budget if run is None else of_runs(budget, run))
    last = level.max()
    least = max(fewest, _SEEN * len(budget))
    masks = [level <= last - k for k in range(1, last)]
    masks = [s for s in masks if s.sum() >= least and (run is None or _runs(run, s) >= _LEAST_RUNS)]
    if not masks:
        return []
    chosen = np.unique(np.round(np.linspace(0, len(masks) - 1, _MOST)).astype(int))
    return [_without_top(budget, masks[k]) for k in chosen]


def of_runs(budget: Array, run: Array) -> Array:
    """The largest budget of each row's run, (n,)."""
    largest = np.full(run.max() + 1, -np.inf)
    np.maximum.at(largest, run, budget)
    return largest[run]


def _runs(run: Array, rows: Array) -> int:
    return len(np.unique(run[rows]))


def _without_top(budget: Array, fitted: Array) -> Origin:
    edge = budget[fitted].max()
    below = float(np.log(budget.max() / edge))
    is_asked = ~fitted & (budget > edge)
    return Origin(f"budgets > {edge:.3g}", fitted, is_asked, np.log(budget / edge), below)


def group_origins(groups: Sequence[str] | Array, least: int = 3) -> list[Origin]:
    """Origins that leave out one group (a schedule) each, or several where there are many.

    None where there are fewer than `least`.
    """
    names = np.asarray(groups).astype(str)
    labels = np.unique(names).tolist()
    folds = (
        [labels[k::_MOST] for k in range(min(_MOST, len(labels)))] if len(labels) >= least else []
    )
    held_out = [np.isin(names, fold) for fold in folds]
    return [
        Origin(", ".join(fold), ~rows, rows, np.zeros(len(names)))
        for fold, rows in zip(folds, held_out, strict=True)
    ]


def in_window(budget: Array, fitted: Array, share: float) -> Array:
    """The rows seen, without a share of them from below."""
    return fitted & (budget >= np.quantile(budget[fitted], share) * (1 - 1e-12))
