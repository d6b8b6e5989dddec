"""The search for the best fit: from many starts to the minima that they reach."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from scalinglab.analysis.fitting.levenberg_marquardt import Solution, minimise
from scalinglab.analysis.fitting.misfit import Misfit

Array = np.ndarray

SAME_BASIN = 1e-6  # relative difference of the objective
_SCOUTED_ROWS = 48  # at least, and eight a parameter
_SEARCHED_ROWS = 20_000
_CLEARLY_WORSE = 1.01  # times the best objective: refining on all rows will not gain so much
_ALONE = 16


@dataclass(frozen=True)
class Search:
    """The minima that a set of starts reached.

    Attributes
    ----------
    solution : Solution
        One row for each distinct minimum.
    place : array of int, shape (starts,)
        The row in which each start ended.
    unscouted : Solution
        Minima of the full searches: starts that were minimised individually, without scouts. Their
        agreement is informative; scouts lead all starts to the minimum of least squares on a few
        rows.
    rows : int
        Number of rows in the search; the best minima were then refined on all rows.
    scouts : array, shape (starts, free)
        Coordinates in which the scouts ended.
    """

    solution: Solution
    place: Array
    unscouted: Solution
    rows: int
    scouts: Array

    @property
    def best(self) -> Array:
        """The lowest coordinates met, shape (1, free)."""
        coordinates, value = self.everything
        return coordinates[[np.argmin(value)]]

    @property
    def everything(self) -> tuple[Array, Array]:
        """All coordinates met, shape (m, free), and their values."""
        met = (self.solution, self.unscouted)
        return np.concatenate([s.coordinates for s in met]), np.concatenate([s.value for s in met])

    def tied(self) -> Array:
        """Coordinates that are as good as the best: one point, or a valley without a floor."""
        coordinates, value = self.everything
        return coordinates[value <= value.min() + SAME_BASIN * abs(value.min()) + 1e-12]


def search(misfit: Misfit, starts: Array, scouts: Array | None = None) -> Search:
    """Minimise from every start, shape (starts, parameters).

    Scouts go first: least squares on a few rows, which has few basins and costs little. Starts
    whose scouts meet continue as one, on all rows with the real objective; up to 16 starts are also
    minimised individually. With very many rows all this happens on 20,000 of them, and the distinct
    minima are then refined on all rows. Scouts use no priors, so those of the same fit without
    priors may be passed.
    """
    limits, max_steps = misfit.space.limits, misfit.space.max_steps
    u = misfit.space.compress(starts)
    if scouts is None:
        scouted = _scouting(misfit)
        scouts = minimise(
            scouted, u, *limits, max_step=max_steps, damping=0.1, tolerance=1e-4
        ).coordinates
    first, place = _different(scouts)
    met = scouts[first]
    some = u[np.unique(np.linspace(0, len(u) - 1, _ALONE).round().astype(int))]
    searched = _on_some_rows(misfit, _SEARCHED_ROWS)
    both = minimise(searched, np.concatenate([met, some]), *limits, max_step=max_steps)
    if searched is not misfit:
        first, end = _different(both.coordinates)
        both = _on_all_rows(misfit, both.coordinates[first])[end]
    return Search(both[: len(met)], place, both[len(met) :], len(searched.target), scouts)


def _different(coordinates: Array) -> tuple[Array, Array]:
    """Which rows are the first at their place, and which of these places each row is at."""
    near = np.round(coordinates, 2)  # logarithms, mostly: within a per cent
    _, first, place = np.unique(near, axis=0, return_index=True, return_inverse=True)
    return first, place.ravel()


def _on_all_rows(misfit: Misfit, places: Array) -> Solution:
    """Places found on some rows, minimised on all unless they are clearly worse than the best."""
    limits, max_steps = misfit.space.limits, misfit.space.max_steps
    solutions = minimise(misfit, places, *limits, steps=0)
    near = np.flatnonzero(solutions.value <= _CLEARLY_WORSE * solutions.value.min())
    solutions[near] = minimise(misfit, places[near], *limits, max_step=max_steps)
    return solutions


def _scouting(misfit: Misfit) -> Misfit:
    rows = max(_SCOUTED_ROWS, 8 * len(misfit.space.law.names))
    scouted = _on_some_rows(misfit, rows)
    return replace(scouted, objective=misfit.objective.squares, prior=None)


def _on_some_rows(misfit: Misfit, rows: int) -> Misfit:
    """The same on so many rows, drawn at random, that weigh as much as all."""
    count = len(misfit.target)
    if rows >= count:
        return misfit
    # At random, as tables come sorted; by a fixed seed, as equal fits must have equal bits.
    return misfit.of_rows(np.sort(np.random.default_rng(0).permutation(count)[:rows]))
