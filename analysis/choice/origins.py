"""Which points are left out to see how a law predicts what it has not seen.

An origin leaves out the top k of K budgets (sizes, numbers of tokens), or all curves of one
schedule. Errors one step ahead may pass through zero on their way from one side to the other: so
origins lie as far apart as the data allow, and every point above an origin is predicted, not only
the next step.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

Array = np.ndarray

_ONE_BUDGET = 1.5  # runs within this factor of the largest are of one budget
_FEWEST = 3  # runs of a budget
_MOST = 6  # origins along an axis
_SEEN = 0.4  # of the points, at least
_SCHEDULES = 8  # origins of curves: more schedules than that are left out several at a time


@dataclass(frozen=True)
class Origin:
    """What is seen, and what lies ahead how far.

    Attributes
    ----------
    label : str
        What was left out.
    seen, ahead : array of bool, shape (n,)
        Rows that are fitted, and rows that are predicted.
    distance : array, shape (n,)
        Logarithm of how many times beyond the seen ones each row lies, at least 0.
    """

    label: str
    seen: Array
    ahead: Array
    distance: Array

    @property
    def reach(self) -> float:
        """Logarithm of how many times the farthest point lies beyond the seen ones."""
        return float(self.distance[self.ahead].max(initial=0.0))


def levels(values: Array) -> Array:
    """Which budget (size, number of tokens) each row is of, counted from the smallest on.

    Runs within half as much again of the largest are of one, and no fewer than three: a ladder has
    as many budgets as runs.
    """
    order = np.argsort(-values, kind="stable")
    number = np.empty(len(values), int)
    top, held, at = np.inf, _FEWEST, -1
    for row in order:
        if values[row] * _ONE_BUDGET < top and held >= _FEWEST:
            top, held, at = values[row], 0, at + 1
        number[row] = at
        held += 1
    if held < _FEWEST and at > 0:  # too few are left for one of their own
        number[number == at] = at - 1
        at -= 1
    return at - number


def numeric_origins(name: str, values: Array, fewest: int) -> list[Origin]:
    """Origins that leave out the top k budgets; `fewest` rows must be left to fit."""
    level = levels(values)
    last = level.max()
    outs = [
        k
        for k in range(1, last)
        if (level <= last - k).sum() >= max(fewest, _SEEN * len(values))
    ]
    chosen = np.unique(np.round(np.linspace(0, len(outs) - 1, _MOST)).astype(int)) if outs else []
    return [_numeric(name, values, level <= last - outs[k]) for k in chosen]


def _numeric(name: str, values: Array, seen: Array) -> Origin:
    edge = values[seen].max()
    distance = np.maximum(np.log(values / edge), 0)
    return Origin(f"{name} > {edge:.3g}", seen, ~seen, distance)


def group_origins(groups: Sequence[str] | Array) -> list[Origin]:
    """Origins that leave out one group (a schedule, a label) each, or several where there are many."""
    names = pd.Series(np.asarray(groups)).astype(str)
    labels = sorted(names.unique())
    folds = [labels[k::_SCHEDULES] for k in range(min(_SCHEDULES, len(labels)))]
    origins = []
    for fold in folds if len(labels) > 1 else []:
        ahead = names.isin(fold).to_numpy()
        origins.append(Origin(", ".join(fold), ~ahead, ahead, np.where(ahead, 1.0, 0.0)))
    return origins
