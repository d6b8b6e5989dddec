"""What each law says of points that it has not seen: all its refits are one batch.

A law is searched for from many starts once, on all points. Without the points ahead of an origin it
is minimised again from there, as resamples are, which costs hundredths of a second for all origins
together.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from scalinglab.analysis.choice.origins import Origin
from scalinglab.analysis.fitting.best_fit import BestFit, refit
from scalinglab.analysis.intervals.draws import Draws

Array = np.ndarray


@dataclass(frozen=True)
class Errors:
    """Of one law and window, at every origin.

    Attributes
    ----------
    error : array, shape (origins, n)
        Predicted - measured on the scale of the objective; infinite where the law has no possible
        value or could not be fitted, NaN at the rows that the origin does not predict.
    noise : array, shape (origins,)
        Root mean square residual of the points seen, as widened as the fit narrowed them.
    """

    error: Array
    noise: Array


def held_out_errors(fitted: BestFit, origins: Sequence[Origin], window: Array) -> Errors:
    """Errors of a law ahead of each origin, fitted to the rows of a window that it has seen."""
    free = len(fitted.misfit.space.free)
    keep = np.array([origin.seen & window for origin in origins])
    rows = keep.sum(axis=1)
    enough = rows >= free + 2
    draws = Draws(counts=keep[enough].astype(float), group=np.arange(keep.shape[1]))
    error = np.full(keep.shape, np.inf)
    if enough.any():
        (coordinates,) = refit(fitted, draws)
        error[enough] = _residuals(fitted, coordinates)
    noise = np.array(
        [
            np.sqrt(np.mean(e[k] ** 2) * n / max(n - free, 1)) if np.isfinite(e[k]).all() else np.inf
            for e, k, n in zip(error, keep, rows, strict=True)
        ]
    )
    ahead = np.array([origin.ahead for origin in origins])
    return Errors(np.where(ahead, error, np.nan), noise)


def _residuals(fitted: BestFit, coordinates: Array) -> Array:
    """Predicted - measured, infinite where no response can be so, (refits, n)."""
    misfit = fitted.misfit
    with np.errstate(all="ignore"):
        predicted = misfit.space.law.predict(misfit.space.expand(coordinates), misfit.columns)
        said = misfit.scale.of(misfit.scale.possible(predicted))
    return np.where(np.isnan(said), np.inf, said - misfit.target)
