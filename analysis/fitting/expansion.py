"""Resamples of many rows from an expansion around the best fit.

A refit reads every row at every step: 1,000 resamples of 1e5 rows took half a minute. But with so
many rows a resample moves the best fit by little, and over that little the law is its tangent and
its bend: for each row as many numbers as there are parameters and pairs of them. Residuals of all
resamples at all rows are then one matrix product and the gradient of the objective another. The
cost of a residual stays as it is, kinks and all.

The law itself then says how far resamples still are from their best fits, the farthest first, until
all that are asked about are there. The others are left to refits.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from scalinglab.analysis.fitting.misfit import Misfit
from scalinglab.analysis.intervals.draws import Draws

Array = np.ndarray

LEAST_ROWS, LEAST_DRAWS = 5_000, 100  # fewer are refitted as fast
_MOST_FREE = 12  # the pairs of more parameters are too many columns beside the rows
# Lengths are standard errors of the parameters, along directions that are independent.
_STEP = 2.0  # at which the bend is measured: within what resamples reach
NEAR = 0.03  # what a resample may be off by; the ends of 1,000 resamples scatter by 0.09
_SETTLED = 0.01  # a last step, after which ten times less is left
_ROUNDS = 10
_ASKED = 32  # at once
_ROWS, _DRAWS = 4096, 64  # of a block that stays in the processor's cache


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
    if len(misfit.target) < LEAST_ROWS or count < LEAST_DRAWS or free > _MOST_FREE:
        return none
    if misfit.censored is not None:
        return none
    try:
        with np.errstate(all="ignore"):  # what overflows is not finite, and not near
            expansion = _expand(misfit, places, draws)
            if expansion is None:
                return none
            z, rests = _solve(expansion, draws)
            return expansion.coordinates(z), _confirmed(expansion, z, rests, draws)
    except np.linalg.LinAlgError:  # something is flat there
        return none


@dataclass(frozen=True)
class _Expansion:
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

    def gradient(self, z: Array, draws: Draws) -> Array:
        """Along the axes, of resamples at their places, shape (draws, free)."""
        misfit, free = self.misfit, len(self.centre)
        j, k = np.triu_indices(free)
        pairs = z[:, j] * z[:, k] * np.where(j == k, 0.5, 1.0)
        terms = np.hstack([z, pairs]).astype(np.float32)
        sums = np.zeros(terms.shape)
        for at in range(0, len(misfit.target), _ROWS):
            rows = slice(at, at + _ROWS)
            moved = terms @ self.features[rows].T + self.residual[rows].astype(np.float32)
            if draws.targets is not None:
                away = misfit.target[rows] - draws.targets[:, rows]
                moved += (away * misfit.sharpness[rows]).astype(np.float32)
            slope = misfit.objective.slope(moved) * misfit.weight[rows].astype(np.float32)
            if draws.counts is not None and draws.group is not None:
                slope *= np.take(draws.counts, draws.group[rows], axis=1)
            sums += slope @ self.features[rows]
        bends = np.empty((len(z), free, free))
        bends[:, j, k] = bends[:, k, j] = sums[:, free:]
        gradient = sums[:, :free] + (bends @ z[:, :, None])[:, :, 0]
        if misfit.prior is None:
            return gradient
        centres = misfit.prior.centre if draws.centres is None else draws.centres
        return gradient + (misfit.prior.strength * (self.coordinates(z) - centres)) @ self.axes

    def coordinates(self, z: Array) -> Array:
        """Coordinates of places along the axes, shape (draws, free)."""
        return self.centre + z @ self.axes.T


def _expand(misfit: Misfit, places: Array, draws: Draws) -> _Expansion | None:
    """None where the law has an edge or another place nearby."""
    centre, (low, high) = places[0], misfit.space.limits
    residual, jacobian = _derivatives(misfit, centre)
    curvature, axes = _axes(misfit, residual, jacobian, draws)
    apart = np.linalg.solve(axes, (places - centre).T)
    ends = _STEP * np.concatenate([axes.T, -axes.T]) + centre
    if not ((np.abs(apart) < 1).all() and ((low < ends) & (ends < high)).all()):
        return None
    free = len(centre)
    first, second = np.triu_indices(free)
    features = np.zeros((len(residual), free + len(first)), np.float32)
    features[:, :free] = (axes.T @ jacobian).T
    for k in range(free):
        after, before = (axes.T @ _derivatives(misfit, ends[j])[1] for j in (k, free + k))
        bend = (after - before) / (4 * _STEP)
        # Measured along either axis of a pair; along one with itself both are the same.
        for j, of_one in enumerate(bend):
            pair = np.flatnonzero((first == min(j, k)) & (second == max(j, k)))[0]
            features[:, free + pair] += of_one * (2 if j == k else 1)
    return _Expansion(misfit, centre, axes, axes.T @ curvature @ axes, residual, features)


def _axes(misfit: Misfit, residual: Array, jacobian: Array, draws: Draws) -> tuple[Array, Array]:
    """Curvature, and standard errors as directions: its inverse times a root of the covariance of
    the gradients of what is drawn together.
    """
    scores = jacobian * misfit.objective.slope(residual) * misfit.weight
    if draws.counts is not None and draws.group is not None:
        scores = np.stack([np.bincount(draws.group, row, draws.counts.shape[1]) for row in scores])
    scattered = scores @ scores.T
    bend = misfit.objective.curvature(residual, 0.0) * misfit.weight
    curvature = (jacobian * bend) @ jacobian.T
    if misfit.prior is not None:  # its centre is drawn as far away as it is wide
        strength, width = misfit.prior.strength, misfit.prior.width
        curvature = curvature + np.diag(strength)
        scattered = scattered + np.diag(np.where(np.isfinite(width), strength * width, 0) ** 2)
    size = np.sqrt(np.diag(curvature))
    root = np.linalg.cholesky(scattered / np.outer(size, size))
    return curvature, np.linalg.solve(curvature / np.outer(size, size), root) / size[:, None]


def _derivatives(misfit: Misfit, u: Array) -> tuple[Array, Array]:
    """Residuals and their derivatives at coordinates (free,), shapes (n,) and (free, n)."""
    space = misfit.space
    params = space.expand(u[None])
    predicted, jacobian = (row[0] for row in space.law.jacobian(params, misfit.columns))
    residual = (misfit.scale.of(predicted) - misfit.target) * misfit.sharpness
    chain = space.slopes(params)[0][:, None] * space.select
    return residual, chain.T @ jacobian * (misfit.sharpness * misfit.scale.slope(predicted))


def _solve(expansion: _Expansion, draws: Draws) -> tuple[Array, Array]:
    """Places of the resamples along the axes, and which of them came to rest.

    Steps are Newton's, at first with the curvature of the points themselves, which Broyden's
    updates then correct: where few residuals are small, each resample has a curvature of its own.
    """
    z = np.zeros((len(draws), len(expansion.centre)))
    rests = np.zeros(len(draws), bool)
    answer = np.linalg.inv(expansion.curvature)
    for at in range(0, len(z), _DRAWS):
        part = slice(at, at + _DRAWS)
        some = draws.some(part)
        inverse = np.repeat(answer[None], len(some), axis=0)
        slope = expansion.gradient(z[part], some)
        for _ in range(_ROUNDS):
            step = -(inverse @ slope[:, :, None])[:, :, 0]
            z[part] += step
            rests[part] = (np.abs(step) < _SETTLED).all(axis=1)
            if rests[part].all():
                break
            before, slope = slope, expansion.gradient(z[part], some)
            inverse += _correction(inverse, step, slope - before)
    return z, rests


def _correction(inverse: Array, step: Array, risen: Array) -> Array:
    """Broyden's update of inverse curvatures, which then map the last rise to the last step."""
    answered = (inverse @ risen[:, :, None])[:, :, 0]
    row = (step[:, None] @ inverse)[:, 0]
    share = (row * risen).sum(axis=1)
    added = ((step - answered) / share[:, None])[:, :, None] * row[:, None]
    return np.where(np.isfinite(added), added, 0)  # a step of zero teaches nothing


def _confirmed(expansion: _Expansion, z: Array, rests: Array, draws: Draws) -> Array:
    """Which resamples have their best fit there by the law itself, shape (draws,) of bool."""
    u, (low, high) = expansion.coordinates(z), expansion.misfit.space.limits
    holds = rests & ((low < u) & (u < high)).all(axis=1)
    farthest = np.argsort(-(z**2).sum(axis=1))
    farthest = farthest[holds[farthest]]
    for at in range(0, len(farthest), _ASKED):
        checked = farthest[at : at + _ASKED]
        problem = replace(expansion.misfit, draws=(draws.some(checked),))
        _, gradient, curvature = problem(
            u[checked], np.arange(len(checked)), np.zeros(len(checked))
        )
        step = np.linalg.solve(expansion.axes, np.linalg.solve(curvature, gradient[:, :, None]))
        holds[checked] = (np.abs(step[:, :, 0]) < NEAR).all(axis=1)
        if holds[checked].all():
            break
    return holds
