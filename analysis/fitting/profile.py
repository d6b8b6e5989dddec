"""Profile likelihood: how much worse the fit gets when one parameter is held elsewhere."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from scipy.special import chdtri

from scalinglab.analysis.fitting.best_fit import BestFit, FitOptions, best_fit
from scalinglab.analysis.fitting.levenberg_marquardt import Solution, minimise
from scalinglab.analysis.fitting.misfit import Misfit
from scalinglab.analysis.laws.law import Array, Law
from scalinglab.scaling.errors import UserError

_POINTS = 33
_WIDENINGS = 6  # fourfold each: ends 12,000 standard errors away identify nothing


@dataclass(frozen=True)
class Profile:
    """A profile of one parameter.

    Attributes
    ----------
    parameter : str
    table : DataFrame
        ``value``, ``objective`` at the best of all other parameters, and ``ratio``: the likelihood
        ratio statistic against the best fit, chi-squared with one degree of freedom.
    interval : tuple of float
        Where the statistic stays below its quantile. An end that is not reached within the
        parameter's bounds is the bound.
    closed : tuple of bool
        Whether each end was reached. A parameter with an open end is not identified.
    """

    parameter: str
    table: pd.DataFrame
    interval: tuple[float, float]
    closed: tuple[bool, bool]

    @property
    def identified(self) -> bool:
        """Whether both ends of the interval were reached."""
        return all(self.closed)


def profile_likelihood(
    law: str | Law, data: pd.DataFrame, parameter: str, *, level: float = 0.95, **options: Any
) -> Profile:
    """Profile one parameter of a law over a table of points.

    The robust cost is no likelihood, so its rise is scaled by the spread of the residuals: see
    `Objective.information`. Rows are taken to be independent; for clusters, resample instead.

    Parameters
    ----------
    law, data, **options
        As in `analysis.fit`, but for those of resampling.
    parameter : str
        A free parameter of the law.
    level : float
        Level of the interval.

    Raises
    ------
    UserError
        As `analysis.fit`, or if the parameter is not free.
    """
    fitted = best_fit(law, data, FitOptions(**options))
    space = fitted.misfit.space
    if parameter not in space.free:
        raise UserError(f"{parameter!r} is not free; free are {', '.join(space.free)}")
    j = space.free.index(parameter)
    limit = float(chdtri(1, 1 - level))
    coordinates, ratio = _trace(fitted, j, limit)
    k = space.law.names.index(parameter)
    at = np.repeat(fitted.best.coordinates, len(coordinates), axis=0)
    at[:, j] = coordinates
    values = space.expand(at)[:, k]
    order = np.argsort(values)
    values, ratio = values[order], ratio[order]
    table = pd.DataFrame({"value": values, "ratio": ratio})
    table["objective"] = _objective(fitted, ratio)
    return Profile(parameter, table, *_crossings(values, ratio, limit))


def _trace(fitted: BestFit, j: int, limit: float) -> tuple[Array, Array]:
    """Coordinates around the best one, wide enough to cross the limit, and the ratio at each."""
    misfit, best = fitted.misfit, fitted.best.coordinates[0, j]
    low, high = (end[j] for end in misfit.space.limits)
    inverse = np.linalg.pinv(fitted.best.curvature[0] * fitted.information)
    reach = 3 * np.sqrt(max(limit, 1.0) * max(inverse[j, j], 1e-16))
    reach = np.array([reach, reach])
    for _ in range(_WIDENINGS):
        ends = np.clip([best - reach[0], best + reach[1]], low, high)
        sides = [np.linspace(end, best, _POINTS // 2 + 1) for end in ends]
        grid = np.unique(np.concatenate(sides))
        ratio = _ratios(fitted, j, grid)
        short = np.array([ratio[0] < limit and ends[0] > low, ratio[-1] < limit and ends[1] < high])
        if not short.any():
            break
        reach = np.where(short, 4 * reach, reach)
    return grid, ratio


def _ratios(fitted: BestFit, j: int, grid: Array) -> Array:
    """Ratio with coordinate j held at each value; each starts from its neighbour's optimum too."""
    start = np.repeat(fitted.best.coordinates, len(grid), axis=0)
    start[:, j] = grid
    profile = _held(fitted.misfit, start, j)
    for shift in (-1, 1):
        start = np.roll(profile.coordinates, shift, axis=0)
        start[:, j] = grid
        again = _held(fitted.misfit, start, j)
        better = again.value < profile.value
        profile.value[better] = again.value[better]
        profile.coordinates[better] = again.coordinates[better]
    return np.maximum(2 * fitted.information * (profile.value - fitted.best.value[0]), 0)


def _held(misfit: Misfit, start: Array, j: int) -> Solution:
    frozen = np.zeros(start.shape, bool)
    frozen[:, j] = True
    return minimise(
        misfit, start, *misfit.space.limits, max_step=misfit.space.max_steps, frozen=frozen
    )


def _objective(fitted: BestFit, ratio: Array) -> Array:
    rise = ratio / (2 * fitted.information)
    return (fitted.best.value[0] + rise) * fitted.misfit.objective.unit


def _crossings(
    values: Array, ratio: Array, limit: float
) -> tuple[tuple[float, float], tuple[bool, bool]]:
    """Where the ratio leaves the limit on either side of its lowest point."""
    root, middle = np.sqrt(ratio), int(np.argmin(ratio))
    ends, closed = [], []
    for side in (slice(middle, None, -1), slice(middle, None)):
        v, r = values[side], root[side]
        outside = np.flatnonzero(r > np.sqrt(limit))
        closed.append(bool(len(outside)))
        if not len(outside):
            ends.append(float(v[-1]))
            continue
        k = outside[0]
        ends.append(float(np.interp(np.sqrt(limit), r[k - 1 : k + 1], v[k - 1 : k + 1])))
    return (ends[0], ends[1]), (closed[0], closed[1])
