"""Rolling-origin refits: how far wrong the same fit would have gone with less in view.

A fit's resamples carry the doubt about its parameters, not about its law. Beyond the measured range
the law is the larger doubt: on the points of Hoffmann et al. (arXiv:2203.15556) intervals from
resamples alone contained 56 % of the largest sizes, for a level of 95 %. So every fit is repeated
without its outermost tenth, two tenths ... half, along each column and along all of them together
(N and D together are the budget), upwards and downwards. By how much such a refit departs from the
whole fit at a new point shows how far the law wanders beyond its points. A refit has farther to go
than the whole fit has; like a random walk's, the departure is taken to grow with the root of the
distance, in logarithms.

What was measured apart but not together is beyond, too: of the one to four largest budgets of five
IsoFLOP sweeps and of Hoffmann's points, intervals that looked at the range of N and that of D alone
contained 85 %, these 94 %.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np

from analysis.error_scale import ErrorScale
from analysis.laws.law import Array, Columns, Law
from analysis.misfit import Draws
from analysis.solve import Fitted, refit

_SHARES = (0.1, 0.2, 0.3, 0.4, 0.5)  # of the rows, left out
_LEAST_SIZES = 3  # of every column, that a refit needs


@dataclass(frozen=True)
class Origins:
    """The refits of one fit, one row each.

    Attributes
    ----------
    axis : tuple of tuple of str
        Columns along which points were left out: by the product of their values.
    sign : array, shape (refits,)
        1 where the largest were left out, -1 where the smallest.
    cut, edge : array, shape (refits,)
        Sign times the logarithm of the outermost product that the refit, and the whole fit, saw.
    params : array, shape (refits, parameters)
    """

    axis: tuple[tuple[str, ...], ...]
    sign: Array
    cut: Array
    edge: Array
    params: Array

    def __len__(self) -> int:
        return len(self.axis)

    def beyond(self, columns: Columns) -> Array:
        """How many times outside the measured range along any axis, shape (n,), 1 inside all.

        A point may have a size and a number of tokens that were measured, but not together: on
        IsoFLOP sweeps most of a larger budget is such a corner.
        """
        farthest = np.zeros(next(iter(columns.values())).shape[-1])
        for k, axis in enumerate(self.axis):
            farthest = np.fmax(farthest, self.sign[k] * _along(axis, columns) - self.edge[k])
        return np.exp(farthest)

    def wander(self, law: Law, best: Array, columns: Columns, scale: ErrorScale) -> Array:
        """Standard deviation of the prediction on its scale, (n,), for what lies beyond the points.

        For each axis the root mean square, over its refits, of their departure from the whole fit,
        times the root of the share of their way that lies beyond the whole fit's points.
        """
        n = next(iter(columns.values())).shape[-1]
        squared: dict[tuple, list[Array]] = {}
        with np.errstate(all="ignore"):
            whole = scale.of(law.predict(best, columns)[0])
            for k, axis in enumerate(self.axis):
                along = self.sign[k] * _along(axis, columns)
                beyond = np.maximum(along - self.edge[k], 0)
                way = np.where(beyond > 0, along - self.cut[k], 1)
                gone = scale.of(law.predict(self.params[k : k + 1], columns)[0]) - whole
                step = np.nan_to_num(gone**2 * beyond / way, posinf=0.0)
                squared.setdefault((axis, float(self.sign[k])), []).append(step)
        return np.sqrt(sum((np.mean(steps, axis=0) for steps in squared.values()), np.zeros(n)))


def wanderings(count: int, seed: int) -> Array:
    """How far each draw wanders, in units of `Origins.wander`, and to which side.

    Student's t with as many degrees of freedom as an axis has refits: that few tell a spread
    poorly, and the tails pay for it.
    """
    return np.random.default_rng([seed, 1]).standard_t(len(_SHARES), count)


NO_ORIGINS = Origins((), np.empty(0), np.empty(0), np.empty(0), np.empty((0, 0)))


def roll(fitted: Fitted, names: Mapping[str, tuple[float, float]]) -> Origins:
    """Refit without the outermost points along each column of `names` and along their product.

    All refits are one batch that starts at the whole fit, so they cost about as much as as many
    resamples.
    """
    space, columns = fitted.misfit.space, fitted.points.columns
    kept, axes, signs, cuts, edges = [], [], [], [], []
    for axis in _axes(tuple(names)):
        for sign in (1.0, -1.0):
            along = sign * _along(axis, columns)
            for keep in _shrinking(along):
                if keep.sum() < 2 * len(space.free) or not _sizes(columns, names, keep):
                    continue
                kept.append(keep)
                axes.append(axis)
                signs.append(sign)
                cuts.append(along[keep].max())
                edges.append(along.max())
    if not kept:
        return NO_ORIGINS
    draws = Draws(counts=np.array(kept, np.float32), group=np.arange(len(kept[0])))
    params = space.expand(refit(fitted, draws))
    return Origins(tuple(axes), np.array(signs), np.array(cuts), np.array(edges), params)


def _axes(names: tuple[str, ...]) -> list[tuple[str, ...]]:
    return [(name,) for name in names] + ([names] if len(names) > 1 else [])


def _along(axis: tuple[str, ...], columns: Columns) -> Array:
    return np.sum([np.log(columns[name]) for name in axis], axis=0)


def _shrinking(along: Array) -> Iterator[Array]:
    """Rows without the outermost shares; each set of rows once."""
    before = len(along)
    for share in _SHARES:
        keep = along <= np.quantile(along, 1 - share)
        if keep.sum() < before:
            before = int(keep.sum())
            yield keep


def _sizes(columns: Columns, names: Mapping[str, tuple[float, float]], keep: Array) -> bool:
    return all(len(np.unique(columns[name][keep])) >= _LEAST_SIZES for name in names)
