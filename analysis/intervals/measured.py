"""The fitted range: one rule, for all answers, of which points lie inside it.

Each column has a range, the ratio of any two (D / N, tokens seen over unique ones) and the product
of all (N and D together are the budget): a point may have a size and a number of tokens that were
measured, but not together; on IsoFLOP sweeps most of a larger budget is such a corner.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np

from scalinglab.analysis.laws.law import Array, Columns
from scalinglab.analysis.tables.powers import of_column

Axis = tuple[str, ...]
INSIDE = 1.01  # times beyond a range that still count as inside: N and D are rounded to steps


@dataclass(frozen=True)
class Measured:
    """The range of every axis.

    Attributes
    ----------
    ends : dict of tuple of str to (low, high)
        Axis, as the columns or ratios (``D/N``) whose product it is -> logarithms of its ends.
    overlaps : bool
        False where this is the common range of sets that share none: no point lies inside, and
        `ends` are those of the gap.
    """

    ends: Mapping[Axis, tuple[float, float]]
    overlaps: bool = True

    @classmethod
    def of(cls, columns: Columns, names: Sequence[str]) -> Measured:
        """The range of some columns, each (n,)."""
        ends = {}
        for axis in axes_of(tuple(names)):
            at = along(axis, columns)
            at = at[~np.isnan(at)]  # a ratio of two zeros is none
            if len(at):
                ends[axis] = float(at.min()), float(at.max())
        return cls(ends)

    def common(self, other: Measured) -> Measured:
        """The range that both have measured; where they do not overlap, the gap between them."""
        ends, overlaps = {}, self.overlaps and other.overlaps
        for axis in self.ends.keys() & other.ends.keys():
            (low, high), (others_low, others_high) = self.ends[axis], other.ends[axis]
            low, high = max(low, others_low), min(high, others_high)
            overlaps &= high - low >= -np.log(INSIDE)
            ends[axis] = min(low, high), max(low, high)
        return Measured(ends, bool(overlaps))

    def beyond(self, columns: Columns) -> Array:
        """How many times beyond the range along the farthest axis, shape (n,); 1 inside all."""
        farthest = np.zeros(next(iter(columns.values())).shape[-1])
        with np.errstate(invalid="ignore"):
            for axis, (low, high) in self.ends.items():
                at = along(axis, columns)
                farthest = np.fmax(farthest, np.fmax(at - high, low - at))
        times = np.exp(farthest)
        return np.where(times <= INSIDE, 1.0, times)

    def inside(self, columns: Columns) -> Array:
        """Whether each point lies inside, shape (n,)."""
        return (self.beyond(columns) == 1) & self.overlaps

    def outside(self, place: Columns) -> list[str]:
        """Along which axes one point, of columns (1,), lies outside, how far, and the range."""
        places = []
        for axis, (low, high) in self.ends.items():
            at = float(along(axis, place)[0])
            times = np.exp(np.fmax(at - high, low - at))
            if times > INSIDE:
                name = " ".join(axis)
                value, first, last = (of_column(name, np.exp(end)) for end in (at, low, high))
                places.append(f"{name} = {value} by {times:.3g}x (fitted {first} to {last})")
        return places


def axes_of(names: Axis) -> list[Axis]:
    """Each column, each ratio of two, and the product of all."""
    single = [(name,) for name in names]
    ratios = [(f"{above}/{below}",) for below, above in combinations(names, 2)]
    return [*single, *ratios, *([names] if len(names) > 1 else [])]


def along(axis: Axis, columns: Columns) -> Array:
    """Logarithm of the product of an axis's columns or ratios of columns (``D/N``), (n,)."""
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.sum([_log(name, columns) for name in axis], axis=0)


def _log(name: str, columns: Columns) -> Array:
    above, _, below = name.partition("/")
    return np.log(columns[above]) - (np.log(columns[below]) if below else 0.0)
