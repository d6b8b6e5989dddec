"""From many starts to the places they lead to."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from analysis.misfit import Misfit
from analysis.solver import Solution, minimise

Array = np.ndarray

_SCOUTED_ROWS = 48


@dataclass(frozen=True)
class Search:
    """Where a set of starts led.

    Attributes
    ----------
    solution : Solution
        One row for each distinct place.
    place : array of int, shape (starts,)
        Which row each start ended in.
    """

    solution: Solution
    place: Array


def search(misfit: Misfit, starts: Array) -> Search:
    """Minimise from every start, shape (starts, parameters).

    Scouts go first: least squares on a few rows, which has few basins and costs little. Starts
    whose scouts meet go on as one, on all rows with the real objective.
    """
    limits, strides = misfit.space.limits, misfit.space.strides
    u = misfit.space.compress(starts)
    scouts = minimise(_scouting(misfit), u, *limits, stride=strides, damping=0.1, tolerance=1e-4)
    _, first, place = np.unique(
        np.round(scouts.coordinates, 2), axis=0, return_index=True, return_inverse=True
    )
    found = minimise(misfit, scouts.coordinates[first], *limits, stride=strides)
    return Search(found, place.ravel())


def _scouting(misfit: Misfit) -> Misfit:
    rows = max(_SCOUTED_ROWS, 8 * len(misfit.space.law.names))
    chosen = np.sort(np.random.default_rng(0).permutation(len(misfit.target))[:rows])
    return replace(
        misfit,
        objective=misfit.objective.squares,
        columns={name: column[..., chosen] for name, column in misfit.columns.items()},
        target=misfit.target[chosen],
        weight=misfit.weight[chosen],
        sharpness=misfit.sharpness[chosen],
        prior=None,
    )
