"""Refits of a law of curves without one curve each."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from scalinglab.analysis.fitting.best_fit import BestFit, refit
from scalinglab.analysis.fitting.extrapolation import subset
from scalinglab.analysis.fitting.misfit import Misfit
from scalinglab.analysis.intervals.draws import Draws
from scalinglab.analysis.intervals.left_out import MOST, NONE_LEFT_OUT, LeftOutRuns
from scalinglab.analysis.laws.error_scale import RELATIVE
from scalinglab.analysis.laws.law import Array

_FLAT = 1e-12  # a direction of less curvature than this share of the most is not determined
_ROWS = 20_000  # at most, that the refits see: they need not be closer than the law is right


def leave_out_runs(fitted: BestFit) -> LeftOutRuns:
    """Refit without one curve each, some of them where there are many; none of fewer than three."""
    checkpoints = fitted.points.checkpoints
    if checkpoints is None:
        return NONE_LEFT_OUT
    run = checkpoints["run"].to_numpy(str)
    names = np.unique(run)
    chosen = names[np.unique(np.linspace(0, len(names) - 1, MOST).round().astype(int))]
    every = -(-len(run) // _ROWS)
    is_thinned = np.arange(len(run)) % every == 0
    chosen = [name for name in chosen if _spread(fitted, is_thinned & (run != name))]
    if len(names) < 3 or not chosen:
        return NONE_LEFT_OUT
    misfit = subset(fitted.misfit, is_thinned)
    misfit = replace(misfit, weight=misfit.weight * every)
    keep = np.array([run[is_thinned] != name for name in chosen], np.float32)
    draws = Draws(counts=keep, group=np.arange(keep.shape[1]))
    (coordinates,) = refit(replace(fitted, misfit=misfit), draws)
    last = [_last(checkpoints["step"].to_numpy(float), run == name) for name in chosen]
    missed = [_miss(fitted, u, at) for u, at in zip(coordinates, last, strict=True)]
    leverage = []
    for u, at, name in zip(coordinates, last, chosen, strict=True):
        seen = run[is_thinned] != name
        moved = _moved(subset(misfit, seen), u[None], run[is_thinned][seen])
        slope = _slopes(fitted, u[None], at)
        leverage.append(float(slope @ moved @ slope))
    to_params = _to_params(misfit, fitted.best.coordinates)
    moved = to_params @ _moved(misfit, fitted.best.coordinates, run[is_thinned]) @ to_params.T
    is_known = np.isfinite(moved).all() and not np.isnan(leverage)[np.isfinite(missed)].any()
    return LeftOutRuns(
        runs=tuple(str(name) for name in chosen),
        missed=np.array(missed),
        params=fitted.misfit.space.expand(coordinates),
        leverage=np.array(leverage) if is_known else None,
        moved=moved if is_known else None,
    )


def _moved(misfit: Misfit, coordinates: Array, run: Array) -> Array:
    """Covariance of fitted coordinates, (1, free), from misses of one size that all rows of a curve
    share: see `LeftOutRuns`. Coordinates on a bound do not move. NaN where the law has no value.
    """
    low, high = misfit.space.limits
    moves = (low < coordinates[0]) & (coordinates[0] < high)
    residual = misfit.residual(coordinates)[0] * misfit.sharpness
    with np.errstate(divide="ignore", invalid="ignore"):
        pull = misfit.objective.slope(residual) / residual
    pull = np.where(residual == 0, 1 / misfit.objective.unit, pull)
    jacobian = misfit.residual_jacobian(coordinates)[moves]
    curvature = (jacobian * pull) @ jacobian.T
    if misfit.prior is not None:
        curvature += np.diag(misfit.prior.strength[moves])
    if not np.isfinite(curvature).all():
        return np.full((len(moves), len(moves)), np.nan)
    a_shift = jacobian * (pull * np.sqrt(misfit.weight) * misfit.sharpness)
    curve = np.unique(run, return_inverse=True)[1]
    shifts = np.stack([np.bincount(curve, row) for row in a_shift])
    size = np.sqrt(np.maximum(np.diag(curvature), np.finfo(float).tiny))  # units must not count
    inverse = np.linalg.pinv(curvature / np.outer(size, size), rcond=_FLAT, hermitian=True)
    response = np.zeros((len(moves), shifts.shape[1]))
    response[moves] = inverse @ (shifts / size[:, None]) / size[:, None]
    return response @ response.T


def _slopes(fitted: BestFit, coordinates: Array, at: int) -> Array:
    """Derivatives of one row's prediction by the coordinates, on the objective's scale, (free,)."""
    row = np.zeros(len(fitted.misfit.target), bool)
    row[at] = True
    one = subset(fitted.misfit, row)
    one = replace(one, weight=np.ones(1), sharpness=np.ones(1))
    return one.residual_jacobian(coordinates)[:, 0]


def _to_params(misfit: Misfit, coordinates: Array) -> Array:
    """d parameter / d coordinate, (parameters, free)."""
    space = misfit.space
    return space.slopes(space.expand(coordinates))[0][:, None] * space.select


def _miss(fitted: BestFit, coordinates: Array, at: int) -> float:
    """By how much a refit is too high at one row, in logarithms."""
    measured = fitted.points.response[at]
    forecast = fitted.misfit.scale.back(
        fitted.misfit.scale.of(measured) + fitted.misfit.residual(coordinates[None])[0][at]
    )
    return float(RELATIVE.of(RELATIVE.possible(forecast)) - RELATIVE.of(measured))


def _last(step: Array, rows: Array) -> int:
    at = np.flatnonzero(rows)
    return int(at[np.argmax(step[at])])


def _spread(fitted: BestFit, rows: Array) -> bool:
    """Without the curve each column still has a spread: else the law cannot be refitted."""
    plain = [c for c in fitted.points.columns.values() if c.ndim == 1]
    return bool(rows.any()) and all(np.ptp(column[rows]) > 0 for column in plain)
