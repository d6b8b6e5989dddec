"""Runs that lie far from those which repeat them: a wrong value is no noise between seeds.

Generalised extreme studentised deviates (Rosner, Technometrics 25, 1983) of a one-way layout: the
value farthest from the mean of its cell is compared with what the other repeats scatter, then taken
away, and so on; as many are far as the last comparison that chance does not explain. So a second
wrong run does not hide the first.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from scalinglab.analysis.laws.law import Array

SIGMAS = 6.0  # at least: 2 of 1e9 normal residuals lie beyond; losses have heavier tails
LEAST = 0.02  # of a loss, or of an accuracy: nobody acts on less
_CHANCE = 0.05  # that one is called far in a table in which nothing is wrong
_MOST = 0.2  # share of the repeats: if more are far, they scatter
_LONGEST = 100  # comparisons: nobody reads a longer list


@dataclass(frozen=True)
class _Layout:
    """Values in cells, of those rows that are left.

    Attributes
    ----------
    ratio : array, shape (n,)
        Standard deviation of a value's distance from the mean of its others, over that of its
        distance from the mean of its cell; 0 for a row that nothing repeats.
    away : array, shape (n,)
        Distance from the mean of the cell in units of the standard deviation that it has there.
    squares : float
        Sum of squares within cells.
    spare : int
        Its degrees of freedom.
    """

    ratio: Array
    away: Array
    squares: float
    spare: int

    @classmethod
    def of(cls, values: Array, cells: Array, left: Array) -> _Layout:
        sizes = np.bincount(cells[left], minlength=cells.max() + 1)
        sums = np.bincount(cells[left], values[left], minlength=len(sizes))
        distance = np.where(left, values - (sums / np.maximum(sizes, 1))[cells], 0.0)
        size = np.where(left, sizes[cells], 0)
        ratio = np.sqrt(size / np.maximum(size - 1, 1)) * (size > 1)
        spare = int(np.maximum(sizes - 1, 0).sum())
        return cls(ratio, np.abs(distance) * ratio, float((distance**2).sum()), spare)


def far_repeats(values: Array, cells: Array) -> list[int]:
    """Places of the values that chance does not put so far from their repeats, farthest first.

    Parameters
    ----------
    values : array, shape (n,)
        On the scale of the errors: of logarithms, or absolute.
    cells : array of int, shape (n,)
        Rows of one cell repeat each other.

    Returns
    -------
    list of int
        Of two that differ, one.
    """
    from scipy.special import stdtr  # takes .2 s to load

    left = np.ones(len(values), bool)
    taken: list[int] = []
    count = 0
    repeated = int(np.sum(np.bincount(cells)[cells] > 1)) if len(cells) else 0
    for _ in range(min(max(1, int(_MOST * repeated)), _LONGEST) if repeated else 0):
        layout = _Layout.of(values, cells, left)
        place = int(layout.away.argmax())
        distance, ratio = layout.away[place], layout.ratio[place]
        if layout.spare < 2 or distance * ratio < LEAST:
            break
        rest = max(layout.squares - distance**2, 0.0) / (layout.spare - 1)
        sigmas = distance / np.sqrt(rest) if rest > 0 else np.inf
        chance = 2 * stdtr(layout.spare - 1, -sigmas) * np.count_nonzero(layout.ratio)
        left[place] = False
        taken.append(place)
        if sigmas >= SIGMAS and chance < _CHANCE:
            count = len(taken)
    return taken[:count]
