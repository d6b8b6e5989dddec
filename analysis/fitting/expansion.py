"""Resamples of many rows from an expansion around the best fit.

A refit reads every row at every step: 1,000 resamples of 1e5 rows took a minute. But with so many
rows a resample moves the best fit by little, and over that little the law is its tangent and its
bend: for each row as many numbers as there are parameters and pairs of them. Residuals of all
resamples at all rows are then one matrix product, the gradient of the objective another, and its
cost stays as it is, kinks and all.

Where a resample goes too far for that, it is left to a refit on the law itself: the law is asked at
some rows what the expansion leaves out, and by how much that would move the parameters.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from scalinglab.analysis.fitting.misfit import Misfit
from scalinglab.analysis.intervals.draws import Draws

Array = np.ndarray

LEAST_ROWS = 5_000  # fewer are refitted as fast
_MOST_FREE = 12  # the pairs of more parameters are too many columns beside the rows
# Lengths are standard errors of the parameters, along directions that are independent.
_STEP = 2.0  # at which the bend is measured: within what resamples reach
_NEAR = 0.01  # what a place may be off by; the ends of 1,000 resamples are off by ten times that
_SETTLED = 1e-3  # a last step
_FARTHEST = 8.0
_ROUNDS = 10
_TINY = 1e-6
_CHECKED_ROWS = 512
_ROWS, _DRAWS = 4096, 64  # of a block that stays in the processor's cache


@dataclass(frozen=True)
class Expansion:
    """A misfit around its lowest point.

    Attributes
    ----------
    misfit : Misfit
    centre : array, shape (free,)
    axes : array, shape (free, free)
        One standard error along each of `free` independent directions, in columns.
    curvature : array, shape (free, free)
        Of the objective along the axes.
    residual : array, shape (n,)
        At the centre.
    features : array, shape (n, free + pairs)
        Derivatives of a row's residual along the axes, first and second.
    """

    misfit: Misfit
    centre: Array
    axes: Array
    curvature: Array
    residual: Array
    features: Array

    @cached_property
    def pairs(self) -> tuple[Array, Array]:
        """Both axes of each second derivative."""
        return np.triu_indices(len(self.centre))

    @property
    def width(self) -> int:
        """Number of features."""
        return self.features.shape[1]

    @cached_property
    def weighted(self) -> Array:
        """Features times the weight of their row."""
        return self.features * self.misfit.weight[:, None].astype(np.float32)

    @property
    def first(self) -> Array:
        """First derivatives at the centre, shape (n, free)."""
        return self.features[:, : len(self.centre)]

    def coordinates(self, z: Array) -> Array:
        """Coordinates of places along the axes, shape (draws, free)."""
        return self.centre + z @ self.axes.T

    def terms(self, z: Array) -> Array:
        """What multiplies the features at some places, shape (draws, free + pairs)."""
        one, other = self.pairs
        return np.hstack([z, z[:, one] * z[:, other] * np.where(one == other, 0.5, 1.0)])

    def square(self, pairs: Array) -> Array:
        """Symmetric matrices from what is told of each pair, shape (..., free, free)."""
        one, other = self.pairs
        matrices = np.empty((*pairs.shape[:-1], len(self.centre), len(self.centre)))
        matrices[..., one, other] = matrices[..., other, one] = pairs
        return matrices


def from_expansion(misfit: Misfit, places: Array, draws: Draws) -> tuple[Array, Array]:
    """Best coordinates of resamples, shape (draws, free), and which of them hold.

    Parameters
    ----------
    misfit : Misfit
        Of the points themselves.
    places : array, shape (m, free)
        The best fit, and others that are as good. Where they are apart the points leave parameters
        open, and nothing holds.
    draws : Draws
    """
    count, free = len(draws), places.shape[1]
    none = np.empty((count, free)), np.zeros(count, bool)
    if not count or len(misfit.target) < LEAST_ROWS or free > _MOST_FREE:
        return none
    try:
        with np.errstate(all="ignore"):  # what overflows is not finite, and does not hold
            expansion = _expand(misfit, places, draws)
            return none if expansion is None else _settled(expansion, draws)
    except np.linalg.LinAlgError:  # something is flat there
        return none


def _settled(expansion: Expansion, draws: Draws) -> tuple[Array, Array]:
    z, holds = _solve(expansion, draws)
    u = expansion.coordinates(z)
    low, high = expansion.misfit.space.limits
    holds &= ((low < u) & (u < high)).all(axis=1)
    at = np.flatnonzero(holds)
    holds[at] = _left_out(expansion, z[at]) < _NEAR
    return u, holds


def _expand(misfit: Misfit, places: Array, draws: Draws) -> Expansion | None:
    """None where the law has an edge or another place nearby."""
    centre, (low, high) = places[0], misfit.space.limits
    residual, jacobian = (value[0] for value in _derivatives(misfit, centre[None]))
    curvature, axes = _axes(misfit, residual, jacobian, draws)
    apart = np.linalg.solve(axes, (places - centre).T)
    ends = centre + _STEP * np.concatenate([axes.T, -axes.T])
    if not ((np.abs(apart) < 1).all() and ((low < ends) & (ends < high)).all()):
        return None
    free = len(centre)
    one, other = np.triu_indices(free)
    features = np.zeros((len(residual), free + len(one)), np.float32)
    features[:, :free] = (axes.T @ jacobian).T
    for k in range(free):
        after, before = (axes.T @ _derivatives(misfit, ends[[j]])[1][0] for j in (k, free + k))
        bend = (after - before) / (4 * _STEP)
        # Measured along either axis of a pair; along one with itself both are the same.
        for j, of_one in enumerate(bend):
            pair = np.flatnonzero((one == min(j, k)) & (other == max(j, k)))[0]
            features[:, free + pair] += of_one * (2 if j == k else 1)
    return Expansion(misfit, centre, axes, axes.T @ curvature @ axes, residual, features)


def _axes(misfit: Misfit, residual: Array, jacobian: Array, draws: Draws) -> tuple[Array, Array]:
    """Curvature, and standard errors as directions: its inverse times a root of the covariance of
    the gradients of what is drawn together.
    """
    own = jacobian * misfit.objective.slope(residual) * misfit.weight
    if draws.counts is not None and draws.targets is None:
        own = _by_group(own, draws)
    scattered = own @ own.T
    bend = misfit.objective.curvature(residual, 0.0) * misfit.weight
    curvature = (jacobian * bend) @ jacobian.T
    if misfit.prior is not None:  # its centre is drawn as far away as it is wide
        strength, width = misfit.prior.strength, misfit.prior.width
        curvature = curvature + np.diag(strength)
        scattered = scattered + np.diag(np.where(np.isfinite(width), strength * width, 0) ** 2)
    size = np.sqrt(np.diag(curvature))
    root = np.linalg.cholesky(scattered / np.outer(size, size))
    return curvature, np.linalg.solve(curvature / np.outer(size, size), root) / size[:, None]


def _by_group(rows: Array, draws: Draws) -> Array:
    """Sums over the rows that are drawn together, shape (..., n) -> (..., groups)."""
    assert draws.counts is not None
    groups = draws.counts.shape[1]
    return np.stack([np.bincount(draws.group, row, groups) for row in rows])


def _derivatives(misfit: Misfit, u: Array) -> tuple[Array, Array]:
    """Residuals and their derivatives at coordinates, shapes (b, n) and (b, free, n)."""
    space = misfit.space
    params = space.expand(u)
    predicted, jacobian = space.law.jacobian(params, misfit.columns)
    residual = (misfit.scale.of(predicted) - misfit.target) * misfit.sharpness
    jacobian *= (misfit.sharpness * misfit.scale.slope(predicted))[:, None, :]
    chain = space.slopes(params)[:, :, None] * space.select
    return residual, chain.transpose(0, 2, 1) @ jacobian


def _solve(expansion: Expansion, draws: Draws) -> tuple[Array, Array]:
    """Places along the axes, and which resamples came to rest there.

    Newton's steps by each resample's own curvature at the centre, which Broyden's updates correct:
    where few residuals are small, others are so at its own place.
    """
    count, free = len(draws), len(expansion.centre)
    z, rests = np.empty((count, free)), np.empty(count, bool)
    gradient, curvature = _at_centre(expansion, draws)
    inverse = np.linalg.inv(curvature)
    for part in _slices(count, _DRAWS):
        some, own, slope = draws.some(part), inverse[part], gradient[part]
        step = -(own @ slope[:, :, None])[:, :, 0]
        z[part] = step
        for turn in range(_ROUNDS):
            before, slope = slope, _gradient(expansion, some, z[part])
            if turn or draws.targets is None:
                own = own + _correction(own, step, slope - before)
            step = -(own @ slope[:, :, None])[:, :, 0]
            z[part] += step
            longest = np.abs(step).max(axis=1)
            rests[part] = longest < _SETTLED
            if not ((longest >= _SETTLED) & (np.abs(z[part]).max(axis=1) < _FARTHEST)).any():
                break
    return z, rests


def _correction(inverse: Array, step: Array, risen: Array) -> Array:
    """What Broyden adds to an inverse, that it answers the last rise with the last step."""
    answered = (inverse @ risen[:, :, None])[:, :, 0]
    row = (step[:, None] @ inverse)[:, 0]
    share = (row * risen).sum(axis=1)
    share = np.where(np.abs(share) > _TINY * (step**2).sum(axis=1), share, np.inf)
    return ((step - answered) / share[:, None])[:, :, None] * row[:, None]


def _at_centre(expansion: Expansion, draws: Draws) -> tuple[Array, Array]:
    """Gradient and curvature of each resample there, shapes (draws, free), (draws, free, free).

    All of them have the same residuals there, so that rows drawn together are one. With targets of
    their own they have not: their gradients are zeros, and the first step goes nowhere.
    """
    misfit, count, free = expansion.misfit, len(draws), len(expansion.centre)
    first = expansion.first.T.astype(float) * misfit.weight
    one, other = expansion.pairs
    slopes = first * misfit.objective.slope(expansion.residual)
    bends = first[one] * expansion.first.T[other]
    residual = expansion.residual
    if draws.targets is not None:  # any of them scatter as all do
        residual = residual + (misfit.target - draws.targets[0]) * misfit.sharpness
    bends *= misfit.objective.curvature(residual, 0.0)
    if draws.counts is None:
        sums = np.broadcast_to(bends.sum(axis=1), (count, len(one)))
        gradient = np.zeros((count, free))
    else:
        by_group = _by_group(np.concatenate([slopes, bends]), draws)
        both = draws.counts @ by_group.T.astype(np.float32)
        gradient, sums = both[:, :free].astype(float), both[:, free:]
    if draws.targets is not None:
        return np.zeros((count, free)), expansion.square(sums) + _stiffness(expansion)
    gradient = gradient + _pull(expansion, draws, np.zeros((count, free)))
    return gradient, expansion.square(sums) + _stiffness(expansion)


def _gradient(expansion: Expansion, draws: Draws, z: Array) -> Array:
    """Along the axes, of resamples at their places, shape (draws, free)."""
    misfit, free = expansion.misfit, len(expansion.centre)
    terms, sums = expansion.terms(z).astype(np.float32), np.zeros((len(z), expansion.width))
    for rows in _slices(len(misfit.target), _ROWS):
        moved = terms @ expansion.features[rows].T + expansion.residual[rows].astype(np.float32)
        if draws.targets is not None:
            away = misfit.target[rows] - draws.targets[:, rows]
            moved += (away * misfit.sharpness[rows]).astype(np.float32)
        slope = misfit.objective.slope(moved)
        if draws.counts is not None:
            slope = slope * np.take(draws.counts, draws.group[rows], axis=1)
        sums += slope @ expansion.weighted[rows]
    bent = expansion.square(sums[:, free:]) @ z[:, :, None]
    return sums[:, :free] + bent[:, :, 0] + _pull(expansion, draws, z)


def _pull(expansion: Expansion, draws: Draws, z: Array) -> Array | float:
    """Gradient of the priors along the axes, shape (draws, free)."""
    prior = expansion.misfit.prior
    if prior is None:
        return 0.0
    away = expansion.coordinates(z) - (prior.centre if draws.centres is None else draws.centres)
    return (prior.strength * away) @ expansion.axes


def _stiffness(expansion: Expansion) -> Array | float:
    """Curvature of the priors along the axes."""
    prior = expansion.misfit.prior
    return 0.0 if prior is None else expansion.axes.T @ np.diag(prior.strength) @ expansion.axes


def _left_out(expansion: Expansion, z: Array) -> Array:
    """How far what the expansion leaves out would move each place, shape (draws,).

    The law is asked at some rows. What it adds to residuals moves a place as least squares would;
    what it adds to their derivatives multiplies slopes that scatter around zero.
    """
    count, free = len(expansion.misfit.target), len(expansion.centre)
    chosen = np.sort(np.random.default_rng(0).permutation(count)[:_CHECKED_ROWS])
    misfit = expansion.misfit.of_rows(chosen)
    features, weight = expansion.features[chosen].astype(float), misfit.weight[:, None]
    first, bent = features[:, :free], expansion.square(features[:, free:])
    towards = np.linalg.solve(first.T @ (first * weight), (first * weight).T)
    size = np.sqrt((first**2 * weight).sum(axis=0))
    # Covariance of the gradients: with the curvature on either side it is one, by the axes' choice.
    scattered = np.sqrt(np.sum(expansion.curvature**2, axis=0))
    answer = np.abs(np.linalg.inv(expansion.curvature)) * scattered
    off = np.empty(len(z))
    for part in _slices(len(z), _DRAWS):
        residual, jacobian = _derivatives(misfit, expansion.coordinates(z[part]))
        terms = expansion.terms(z[part])
        added = residual - expansion.residual[chosen] - terms @ features.T
        turned = expansion.axes.T @ jacobian - first.T - np.einsum("njk,dk->djn", bent, z[part])
        share = np.sqrt((turned**2 * weight[:, 0]).sum(axis=-1)) / size
        off[part] = (np.abs(added @ towards.T) + share @ answer.T).max(axis=1)
    return np.where(np.isfinite(off), off, np.inf)


def _slices(count: int, length: int) -> Iterator[slice]:
    for at in range(0, count, length):
        yield slice(at, min(at + length, count))
