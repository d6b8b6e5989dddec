"""Diagnosis of a fit: agreement of the starts, convergence, and identified parameters."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from scalinglab.analysis.fitting.levenberg_marquardt import Solution, minimise
from scalinglab.analysis.fitting.misfit import Misfit
from scalinglab.analysis.fitting.search import SAME_BASIN, Search

Array = np.ndarray

_CHI2_95 = 3.841  # one degree of freedom
_LOOSE_FACTOR = 1e3  # a log-scale parameter known to no better than this is not known
TIED = 0.99  # correlation with a parameter that is not known, from which it counts
TIED_FACTOR = 10  # and so does a log-scale parameter known to no better than this


@dataclass(frozen=True)
class Diagnosis:
    """Checks to read before a fitted number is used.

    Attributes
    ----------
    starts : int
        How many starts were tried.
    full_searches : int
        How many of them were minimised individually, without scouts (see
        `scalinglab.analysis.fitting.search`).
    searched : int
        Number of rows in the search; the best minima were then refined on all rows.
    agree : float
        Share of the full searches that ended in the best basin (objective within 1e-6, relative).
    basins : tuple of (float, float)
        Objective of each basin and the share of full searches that ended in it, best first.
    gradient : float
        Largest cosine between the residuals and their derivative by one parameter; 0 at a minimum.
    condition : float
        Condition number of the scaled Jacobian.
    correlations : dict of str to dict
        Between free parameters, on their internal scales: from the resamples, else from the
        curvature.
    degrees : float
        Degrees of freedom of the least certain standard error
        (`scalinglab.analysis.intervals.freedom`).
    at_bound : tuple of str
        Parameters that ended on a bound.
    unidentified : dict of str to str
        Parameter -> why its value should not be believed.
    """

    starts: int
    full_searches: int
    searched: int
    agree: float
    basins: tuple[tuple[float, float], ...]
    gradient: float
    condition: float
    degrees: float
    correlations: dict[str, dict[str, float]]
    at_bound: tuple[str, ...]
    unidentified: dict[str, str]


def diagnose(
    misfit: Misfit, solutions: Search, best: Solution, draws: Array, degrees: float
) -> Diagnosis:
    """Diagnose a fit from its search, best solution (one row), resampled coordinates and least
    degrees of freedom.
    """
    jacobian = misfit.residual_jacobian(best.coordinates)
    low, high = misfit.space.limits
    u = best.coordinates[0]
    bound = (u <= low) | (u >= high)
    correlations = _correlations(misfit.space.free, jacobian, draws)
    basins = _basins(solutions, float(best.value[0]), misfit.objective.unit)
    return Diagnosis(
        starts=len(solutions.place),
        full_searches=len(solutions.unscouted.value),
        searched=solutions.rows,
        agree=basins[0][1],
        basins=basins,
        gradient=_gradient(best),
        condition=_condition(jacobian),
        degrees=degrees,
        correlations=correlations,
        at_bound=tuple(np.array(misfit.space.free)[bound].tolist()),
        unidentified=_unidentified(misfit, solutions, best, draws, correlations),
    )


def _basins(solutions: Search, best: float, unit: float) -> tuple[tuple[float, float], ...]:
    basins: list[list[float]] = [[best, 0.0]]
    for value in np.sort(solutions.unscouted.value).tolist():
        if not value - basins[-1][0] <= SAME_BASIN * abs(basins[-1][0]) + 1e-12:
            basins.append([value, 0.0])
        basins[-1][1] += 1 / len(solutions.unscouted.value)
    return tuple((value * unit, round(part, 6)) for value, part in basins)


def _gradient(best: Solution) -> float:
    size = np.sqrt(2 * max(float(best.value[0]), 1e-12))
    return float(np.max(np.abs(best.gradient[0])) / size)


def _condition(jacobian: Array) -> float:
    length = np.linalg.norm(jacobian, axis=1, keepdims=True)
    if not (length > 0).all():
        return np.inf
    singular = np.linalg.svd(jacobian / length, compute_uv=False)  # units must not count
    return float(singular[0] / singular[-1]) if singular[-1] > 0 else np.inf


def _correlations(
    free: tuple[str, ...], jacobian: Array, draws: Array
) -> dict[str, dict[str, float]]:
    # Fewer draws tell correlations worse than the curvature at the best does.
    spread = np.cov(draws.T) if len(draws) >= 30 else np.linalg.pinv(jacobian @ jacobian.T)
    spread = np.atleast_2d(spread)
    # Rounding can leave a variance below zero where a parameter hardly matters: no correlation.
    size = np.sqrt(np.maximum(np.diag(spread), 0.0))
    with np.errstate(invalid="ignore", divide="ignore"):
        matrix = np.nan_to_num(spread / np.outer(size, size))
    return {
        name: dict(zip(free, map(float, matrix[:, k]), strict=True)) for k, name in enumerate(free)
    }


def _unidentified(
    misfit: Misfit,
    solutions: Search,
    best: Solution,
    draws: Array,
    correlations: dict[str, dict[str, float]],
) -> dict[str, str]:
    """Parameter -> why the points do not determine its value."""
    space, reasons = misfit.space, {}
    low, high = space.limits
    allowed = _bound_allowed(misfit, solutions, best)
    for j, name in enumerate(space.free):
        if best.coordinates[0, j] <= low[j] or best.coordinates[0, j] >= high[j]:
            reasons[name] = "its best value is on its bound"
        elif len(draws) and np.mean((draws[:, j] <= low[j]) | (draws[:, j] >= high[j])) > 0.025:
            reasons[name] = "its interval reaches its bound"
        elif name in allowed:
            reasons[name] = f"the data are fitted as well with {name} = {allowed[name]:g}"
        elif len(draws) and (loose := _loose(misfit, j, draws)):
            reasons[name] = loose
    return reasons | _tied(misfit, correlations, reasons, draws)


def _tied(
    misfit: Misfit,
    correlations: dict[str, dict[str, float]],
    open_ones: dict[str, str],
    draws: Array,
) -> dict[str, str]:
    """Loose parameters that move with one of the `open_ones`: of both the points tell one thing.

    One that moves with an identified exponent may be as loose and is identified: at N or D of the
    runs the two together are known, and the coefficient is their term at N or D of one.
    """
    reasons = {}
    for j, name in enumerate(misfit.space.free):
        if name in open_ones or not len(draws):
            continue
        with_it = {other: correlations[name][other] for other in open_ones}
        strongest = max(with_it, key=lambda other: abs(with_it[other]), default="")
        if not strongest or abs(with_it[strongest]) < TIED:
            continue
        is_log, lower, upper = _ends(misfit, j, draws)
        if is_log and upper > TIED_FACTOR * lower:
            reasons[name] = (
                f"its interval spans a factor of {upper / lower:.3g}, and it moves with {strongest},"
                f" which is not identified either: correlation {with_it[strongest]:+.3f}"
            )
    return reasons


def _ends(misfit: Misfit, j: int, draws: Array) -> tuple[bool, float, float]:
    """Whether a free parameter is on a log scale, and the ends of its interval."""
    k = misfit.space.law.names.index(misfit.space.free[j])
    lower, upper = np.quantile(misfit.space.expand(draws)[:, k], (0.025, 0.975))
    return misfit.space.law.parameters[k].scale == "log", float(lower), float(upper)


def _loose(misfit: Misfit, j: int, draws: Array) -> str:
    k = misfit.space.law.names.index(misfit.space.free[j])
    values = misfit.space.expand(draws)[:, k]
    lower, middle, upper = np.quantile(values, (0.025, 0.5, 0.975))
    if misfit.space.law.parameters[k].scale == "log":
        return "its interval spans a factor above 1000" if upper > _LOOSE_FACTOR * lower else ""
    return "its interval is wider than its value" if upper - lower > abs(middle) else ""


def _bound_allowed(misfit: Misfit, solutions: Search, best: Solution) -> dict[str, float]:
    """Parameters whose lower bound a likelihood ratio does not reject: name -> bound.

    Each is held at the bound while the others are refitted, all in one batch. A refit starts from
    the best minimum that is nearest to the bound: along a valley of equal minima the way from any
    other may be too long.
    """
    low, high = misfit.space.limits
    at_zero = [
        j
        for j, name in enumerate(misfit.space.free)
        if misfit.space.law.parameters[misfit.space.law.names.index(name)].scale == "linear"
        and np.isfinite(low[j])
    ]
    if not at_zero or len(misfit.space.free) == 1:
        return {}
    places = np.concatenate([best.coordinates, solutions.tied()])
    start = places[places[:, at_zero].argmin(axis=0)]
    frozen = np.zeros(start.shape, bool)
    start[np.arange(len(at_zero)), at_zero] = low[at_zero]
    frozen[np.arange(len(at_zero)), at_zero] = True
    bounded = minimise(
        misfit,
        start,
        low,
        high,
        max_step=misfit.space.max_steps,
        frozen=frozen,
        damping=1e-4,
        tolerance=1e-5,
        patience=3,
    )
    residual = misfit.residual(best.coordinates)[0] * misfit.sharpness
    information = misfit.objective.information(residual, len(misfit.space.free))
    ratio = 2 * information * (bounded.value - best.value)
    return {
        misfit.space.free[j]: float(low[j])
        for j, statistic in zip(at_zero, ratio, strict=True)
        if statistic < _CHI2_95
    }
