"""Errors of a law at points that it was not fitted to.

The search from many starts is made once, on all points. The refits without the points ahead of an
origin start from its result, as resamples do, all windows in one batch.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import partial

import numpy as np

from scalinglab.analysis.choice.origins import Origin, in_window
from scalinglab.analysis.choice.score import HeldOut, cluster_scores
from scalinglab.analysis.fitting.best_fit import BestFit, refit, refit_from
from scalinglab.analysis.fitting.extrapolation import subset
from scalinglab.analysis.fitting.levenberg_marquardt import minimise
from scalinglab.analysis.fitting.lockstep import in_lockstep
from scalinglab.analysis.fitting.outliers import far_points
from scalinglab.analysis.intervals.draws import Draws

Array = np.ndarray

SPARE = 2  # rows that a fit needs beyond its free parameters
_LEAST_SPREAD = 1e-3  # of log losses: laws that fit more closely are all as close
_DRAWS = 100  # resamples of what origins have seen
# A share of draws needs no more digits; the last steps along a valley would double the time.
_TOLERANCE, _STEPS = 1e-4, 40
_MOST_ROWS = 2000  # beyond, the noise of fits is small beside what laws miss
_AS_CLOSE = 2.0  # times the least spread of residuals: a law farther off vouches for no row


def held_out_errors(
    fitted: BestFit, origins: Sequence[Origin], windows: Sequence[float], budget: Array
) -> Array:
    """Predicted - measured of a law ahead of each origin, by windows of scales.

    Returns
    -------
    array, shape (windows, m)
        On the scale of the objective, the points as `ahead` has them; infinite where the law has no
        possible value or too few points to be fitted to.
    """
    calls = [partial(_errors_ahead, fitted, origin, windows, budget) for origin in origins]
    return np.concatenate(in_lockstep(calls), axis=1)


def _errors_ahead(
    fitted: BestFit, origin: Origin, windows: Sequence[float], budget: Array
) -> Array:
    """Predicted - measured ahead of one origin, (windows, asked)."""
    # Of its rows alone: a step that is impossible at rows ahead must not be refused.
    refitted = replace(fitted, misfit=subset(fitted.misfit, origin.seen))
    keep = np.array([in_window(budget, origin.seen, share)[origin.seen] for share in windows])
    enough = keep.sum(axis=1) >= len(fitted.misfit.space.free) + SPARE
    error = np.full((len(windows), len(budget)), np.inf)
    if enough.any():
        draws = Draws(counts=keep[enough].astype(float), group=np.arange(keep.shape[1]))
        error[enough] = errors(fitted, refit(refitted, draws)[0])
    return error[:, origin.asked]


def drawn_scores(
    fits: Sequence[BestFit],
    origins: Sequence[Origin],
    windows: Sequence[float],
    budget: Array,
    question: float,
    cluster: Array,
) -> Array | None:
    """Scores of laws that are refitted to resamples of the rows that each origin has seen.

    All laws see the same resamples, so their scores can be compared draw by draw. None of laws of
    curves and of many rows, whose refits would take long.

    Parameters
    ----------
    fits, windows
        Each law, and the window of scales that it is fitted to.
    origins, budget
        As of `held_out_errors`.
    question, cluster
        As of `cluster_scores`, of all points.

    Returns
    -------
    array, shape (draws, laws, clusters)
    """
    points = fits[0].points
    if len(points) > _MOST_ROWS or fits[0].misfit.space.law.curve:
        return None
    luck = np.random.default_rng(1).exponential(size=(_DRAWS, points.group.max() + 1))
    weight = luck[:, points.group].astype(np.float32)
    scores = []
    for fitted, window in zip(fits, windows, strict=True):
        calls = [partial(_drawn_errors, fitted, o, window, budget, weight) for o in origins]
        error = np.concatenate(in_lockstep(calls), axis=1)
        predictions = ahead(error, origins, points.noise)
        scores.append(cluster_scores(predictions, question, cluster))
    return np.stack(scores, axis=1)


def _drawn_errors(
    fitted: BestFit, origin: Origin, window: float, budget: Array, weight: Array
) -> Array:
    """Predicted - measured ahead of one origin by refits with random weights, (draws, asked)."""
    rows = in_window(budget, origin.seen, window)
    if rows.sum() < len(fitted.misfit.space.free) + SPARE:
        return np.full((len(weight), origin.asked.sum()), np.inf)
    misfit, every = subset(fitted.misfit, rows), np.arange(rows.sum())
    as_seen = Draws(counts=np.ones((1, len(every)), np.float32), group=every)
    # From the fit of what the origin has seen: one that has seen more would lead some refits.
    (place,) = refit_from(fitted.best.coordinates, misfit, [as_seen])
    draws = Draws(counts=weight[:, rows], group=every)
    (coordinates,) = refit_from(place, misfit, [draws], _TOLERANCE, _STEPS)
    return errors(fitted, coordinates)[:, origin.asked]


def wild_rows(fits: Sequence[BestFit]) -> Array:
    """Rows that all laws which fit the others well name as outliers, (n,).

    Such a row is wrong whichever law is right, and as a held-out row it would make up the error of
    all laws. A row that one law alone misses is what tells laws apart.
    """
    laws = [fit.misfit.space.law for fit in fits]
    free = [len(fit.misfit.space.free) for fit in fits]
    spread = np.array([_spread(fit.residuals, k) for fit, k in zip(fits, free, strict=True)])
    far = [
        far_points(law, fit.residuals, fit.points, k)
        for law, fit, k in zip(laws, fits, free, strict=True)
    ]
    return np.all(np.array(far)[spread <= _AS_CLOSE * spread.min()], axis=0)


def _spread(residuals: Array, free: int) -> float:
    """Median of the residuals that no parameter made small."""
    left = np.sort(np.abs(residuals))[free:]
    return max(float(np.median(left)) if len(left) else 0.0, _LEAST_SPREAD)


def without_rows(origins: Sequence[Origin], rows: Array) -> list[Origin]:
    """The origins without some of the rows that they ask for; those that ask for none are gone."""
    kept = [replace(origin, asked=origin.asked & ~rows) for origin in origins]
    return [origin for origin in kept if origin.asked.any()]


def ahead(error: Array, origins: Sequence[Origin], noise: float | None) -> HeldOut:
    """The points ahead of all origins, with errors as `held_out_errors` gives them."""
    is_asked = np.array([origin.asked for origin in origins])
    origin, row = np.nonzero(is_asked)
    return HeldOut(
        error=error,
        origin=origin,
        row=row,
        distance=np.array([o.distance for o in origins])[is_asked],
        below=np.array([o.below for o in origins])[origin],
        noise=noise or 0.0,
    )


def errors(fitted: BestFit, coordinates: Array) -> Array:
    """Predicted - measured, infinite where no response can be so, (refits, n)."""
    misfit = fitted.misfit
    with np.errstate(all="ignore"):
        predicted = misfit.space.law.predict(misfit.space.expand(coordinates), misfit.columns)
        predicted_target = misfit.scale.of(misfit.scale.possible(predicted))
    return np.where(np.isnan(predicted_target), np.inf, predicted_target - misfit.target)


def of_rows(fitted: BestFit, rows: Array) -> BestFit:
    """The same law refitted to some rows, starting from its best fit."""
    misfit = subset(fitted.misfit, rows)
    best = minimise(
        misfit, fitted.best.coordinates, *misfit.space.limits, damping=1e-4, tolerance=1e-14
    )
    return BestFit(misfit, fitted.points.of_rows(rows), fitted.search, best)
