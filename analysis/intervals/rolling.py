"""Rolling-origin refits: how far wrong the same fit would have gone with less in view.

A fit's resamples carry the doubt about its parameters, not about its law. Beyond the fitted range
the law is the larger doubt: on the points of Hoffmann et al. (arXiv:2203.15556) intervals from
resamples alone contained 56 % of the largest sizes, for a level of 95 %. So every fit is repeated
without its outermost tenth, two tenths ... half, along each column and along all of them together
(N and D together are the budget), upwards and downwards. By how much such a refit departs from the
whole fit at a new point shows how far the law wanders beyond its points. A refit has farther to go
than the whole fit has; like a random walk's, the departure is taken to grow with the root of the
distance, in logarithms.

A law of the wrong shape may refit to the same wrong shape: then no refit departs, and yet each
misses the points that it did not see by more than those that it did. That excess is the doubt where
it is the larger of the two, and comes in over the way from a refit's points to those it missed. On
an IsoFLOP design of a surface whose data exponent depends on N (arXiv:2506.10972) intervals by
departures alone contained 82 % of the top decade of compute, with the excess 99.5 %, and their
score (width and misses) fell by a third. A point far from the law, as a run that diverged, counts
there as the worst of the others: its error says nothing of the shape of the law.

Ratios of columns are axes, too (D / N, tokens seen over unique ones): a law of repeated tokens that
was fitted to few repetitions was far off at many, though each column alone had been measured.

What was measured apart but not together is beyond, too: of the one to four largest budgets of five
IsoFLOP sweeps and of Hoffmann's points, intervals that looked at the range of N and that of D alone
contained 85 %, these 94 %.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from scalinglab.analysis.intervals.draws import Draws
from scalinglab.analysis.intervals.measured import along, axes_of
from scalinglab.analysis.laws.error_scale import ErrorScale
from scalinglab.analysis.laws.law import Array, Columns

_SHARES = (0.1, 0.2, 0.3, 0.4, 0.5)  # of the rows, left out
_T_VARIANCE = len(_SHARES) / (len(_SHARES) - 2)  # of `t_draws`
_LEAST_SIZES = 3  # of every column, that a refit needs


class Predictor(Protocol):
    """A law, or what is made of one or several."""

    def predict(self, params: Array, columns: Columns) -> Array:
        """Values for each parameter vector, (batch, n)."""


@dataclass(frozen=True)
class Origins:
    """The refits of one fit, one row each.

    Attributes
    ----------
    axis : tuple of tuple of str
        Columns, or ratios of two (``D/N``), along which points were left out: by the product of
        their values.
    sign : array, shape (refits,)
        1 where the largest were left out, -1 where the smallest.
    cut, edge : array, shape (refits,)
        Sign times the logarithm of the outermost product that the refit, and the whole fit, saw.
    missed : array, shape (refits,)
        Mean square of its errors at the points left out, above that at its own; on the scale of the
        objective.
    reach : array, shape (refits,)
        How far beyond `cut` the points left out are, on average.
    params : array, shape (refits, parameters)
    """

    axis: tuple[tuple[str, ...], ...]
    sign: Array
    cut: Array
    edge: Array
    missed: Array
    reach: Array
    params: Array

    def __len__(self) -> int:
        return len(self.axis)

    def extrapolation_std(
        self, law: Predictor, best: Array, columns: Columns, scale: ErrorScale
    ) -> Array:
        """Standard deviation of the prediction on its scale, (n,), for what lies beyond the points.

        The root of what `departures` gives, added up over the axes.
        """
        squared = np.zeros(next(iter(columns.values())).shape[-1])
        for _, along_one in self.departures(law, best, columns, scale):
            squared += along_one
        return np.sqrt(squared)

    def departures(
        self, law: Predictor, best: Array, columns: Columns, scale: ErrorScale
    ) -> Iterator[tuple[Array, Array]]:
        """Of each axis: how far beyond it points lie, in logarithms, and the variance there, (n,).

        The mean square, over the refits of an axis, of their departure from the whole fit, times
        the share of their way that lies beyond the whole fit's points; or by how much more they
        missed what they did not see, where that is more. NaN where one predicts what no response
        can be: how far the law wanders is not known there.
        """

        def said(params: Array) -> Array:
            return scale.of(scale.possible(law.predict(params, columns)[0]))

        with np.errstate(all="ignore"):
            central = said(best)
            for axis, sign in dict.fromkeys(zip(self.axis, self.sign.tolist(), strict=True)):
                refits = [k for k, a in enumerate(self.axis) if (a, self.sign[k]) == (axis, sign)]
                at = sign * along(axis, columns)
                beyond = np.maximum(at - self.edge[refits[0]], 0)
                way = np.where(beyond > 0, at - self.cut[refits, None], 1)
                departed = [said(self.params[k : k + 1]) - central for k in refits]
                departure = np.mean(np.square(departed) * beyond / way, axis=0)
                excess = np.maximum(self.missed[refits].mean(), 0.0)
                excess = excess * np.minimum(beyond / self.reach[refits].mean(), 1)
                yield beyond, np.where(beyond > 0, np.maximum(departure, excess), 0)


def t_draws(count: int, seed: int) -> Array:
    """Deviation of each draw beyond the range, in units of `Origins.extrapolation_std`.

    Student's t with as many degrees of freedom as an axis has refits: so few estimate a standard
    deviation poorly, and the tails allow for it.
    """
    return np.random.default_rng([seed, 1]).standard_t(len(_SHARES), count)


def extrapolation_cov(
    origins: Origins, law: Predictor, best: Array, columns: Columns, scale: ErrorScale
) -> Array:
    """Covariance of the law's error at points, (n, n): a random walk from the edge of each axis.

    Two points beyond the same edge share the stretch up to the nearer one, so a measurement removes
    the doubt up to where it lies and leaves the rest; points beyond different axes share none. A
    plan needs no interval: an error that is not known counts as none.
    """
    n = next(iter(columns.values())).shape[-1]
    shared = np.zeros((n, n))
    for beyond, squared in origins.departures(law, best, columns, scale):
        near, far = (pair.outer(beyond, beyond) for pair in (np.minimum, np.maximum))
        alike = np.sqrt(np.divide(near, far, out=np.zeros((n, n)), where=far > 0))
        squared = np.nan_to_num(squared, posinf=0.0)
        shared += np.sqrt(np.outer(squared, squared)) * alike
    return shared * _T_VARIANCE


_NONE = np.empty(0)
NO_ORIGINS = Origins((), _NONE, _NONE, _NONE, _NONE, _NONE, np.empty((0, 0)))


@dataclass(frozen=True)
class Refit:
    """A refit that is to be made: along which axis, on which side, and with which rows."""

    axis: tuple[str, ...]
    sign: float
    keep: Array


def plan_refits(columns: Columns, names: Sequence[str], free: int) -> list[Refit]:
    """The refits without the outermost points along each of some columns and their product.

    `free` is the number of free parameters: a refit needs twice as many rows.
    """
    return [
        Refit(axis, sign, keep)
        for axis in axes_of(tuple(names))
        for sign in (1.0, -1.0)
        for keep in _shrinking(sign * along(axis, columns))
        if keep.sum() >= 2 * free and _sizes(columns, names, keep)
    ]


def as_draws(refits: list[Refit]) -> Draws:
    """The rows of each refit, as resamples."""
    counts = np.array([refit.keep for refit in refits], np.float32)
    return Draws(counts=counts, group=np.arange(counts.shape[1]))


def judge_refits(
    refits: list[Refit],
    columns: Columns,
    params: Array,
    residuals: list[Array],
    free: int,
    far: Array,
) -> Origins:
    """Where refits left points out, and how far they missed them.

    Parameters
    ----------
    refits : list of Refit
    columns : dict of array
        Of all points.
    params : array, shape (refits, parameters)
        What each refit found.
    residuals : list of array, shape (n,) each
        Of each refit at all points, on the scale of the objective.
    free : int
        Number of free parameters.
    far : array of bool, shape (n,)
        Points far from the whole fit.
    """
    residuals = [_limited(residual, far) for residual in residuals]
    at = [refit.sign * along(refit.axis, columns) for refit in refits]
    cuts = np.array([a[refit.keep].max() for a, refit in zip(at, refits, strict=True)])
    left_out = np.array([a[~refit.keep].mean() for a, refit in zip(at, refits, strict=True)])
    excess = [_excess(r, refit.keep, free) for r, refit in zip(residuals, refits, strict=True)]
    return Origins(
        axis=tuple(refit.axis for refit in refits),
        sign=np.array([refit.sign for refit in refits]),
        cut=cuts,
        edge=np.array([a.max() for a in at]),
        missed=np.array(excess),
        reach=left_out - cuts,
        params=params,
    )


def _limited(residual: Array, far: Array) -> Array:
    """Errors of a refit, those at points far from the law no larger than the largest other one."""
    if not far.any():
        return residual
    most = np.abs(residual[~far]).max()
    return np.where(far, np.clip(residual, -most, most), residual)


def _excess(residual: Array, keep: Array, free: int) -> float:
    """Mean square of a refit's errors at the rows left out, above that at the rows kept."""
    squares = residual**2
    return float(squares[~keep].mean() - squares[keep].sum() / (keep.sum() - free))


def _shrinking(along: Array) -> Iterator[Array]:
    """Rows without the outermost shares; each set of rows once."""
    finite = along[np.isfinite(along)]
    if 0 < len(finite) < len(along):  # the logarithm of a column that may be 0
        along = np.clip(along, finite.min() - 1, finite.max() + 1)
    before = len(along)
    for share in _SHARES:
        keep = along <= np.quantile(along, 1 - share)
        if keep.sum() < before:
            before = int(keep.sum())
            yield keep


def _sizes(columns: Columns, names: Sequence[str], keep: Array) -> bool:
    return all(len(np.unique(columns[name][keep])) >= _LEAST_SIZES for name in names)
