"""From many starts to the places they lead to."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from scalinglab.analysis.fitting.levenberg_marquardt import Solution, minimise
from scalinglab.analysis.fitting.misfit import Misfit

Array = np.ndarray

SAME_BASIN = 1e-6  # relative difference of the objective
_SCOUTED_ROWS = 48  # at least, and eight a parameter
_SEARCHED_ROWS = 20_000
_CLEARLY_WORSE = 1.01  # than the best: to minimise on all rows will not bring so much
_ALONE = 16


@dataclass(frozen=True)
class Search:
    """Where a set of starts led.

    Attributes
    ----------
    solution : Solution
        One row for each distinct place.
    place : array of int, shape (starts,)
        Which row each start ended in.
    unscouted : Solution
        Where some of the starts ended that went without scouts, each alone: scouts lead all to
        where least squares on a few rows leads, so that they agree says little.
    rows : int
        On how many rows; the best of the places that they came to were then minimised on all.
    scouts : array, shape (starts, free)
        Where the scouts ended.
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
    whose scouts meet go on as one, on all rows with the real objective; up to 16 starts
    go the whole way alone as well. Where there are very many rows, all this happens on 20,000 of
    them, and the different places that it led to are then looked at on all. Scouts know no priors:
    those of the same fit without priors may be given.
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
