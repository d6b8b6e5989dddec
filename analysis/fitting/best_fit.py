"""The best parameters of a law for a table of points, without intervals or diagnosis."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property

import numpy as np
import pandas as pd

from scalinglab.analysis.fitting.censored import Censored
from scalinglab.analysis.fitting.expansion import from_expansion
from scalinglab.analysis.fitting.levenberg_marquardt import Solution, minimise
from scalinglab.analysis.fitting.misfit import Misfit
from scalinglab.analysis.fitting.objective import Objective
from scalinglab.analysis.fitting.search import Search, search
from scalinglab.analysis.fitting.space import Space
from scalinglab.analysis.fitting.threshold import (
    first_threshold,
    residual_spread,
    scaled_threshold,
)
from scalinglab.analysis.intervals.draws import Draws, Prior
from scalinglab.analysis.intervals.freedom import Freedom, freedom
from scalinglab.analysis.intervals.resample import Sample
from scalinglab.analysis.laws import find
from scalinglab.analysis.laws.arms import ARM, by_arm
from scalinglab.analysis.laws.check import check_derivatives
from scalinglab.analysis.laws.law import Array, Law
from scalinglab.analysis.laws.parameter import NO_PRIORS
from scalinglab.analysis.tables.bounds import Bounds
from scalinglab.analysis.tables.point_checks import TooFewPoints
from scalinglab.analysis.tables.points import Points, read_points
from scalinglab.scaling.errors import UserError

_ROUNDS, _SETTLED = 20, 0.01  # of the noise beside censored rows, and when it has come to rest
_LEAST_SPREAD = 1e-6  # noise of rows that the law meets to the last digit


@dataclass(frozen=True)
class FitOptions:
    """The options of `analysis.fit` that decide the best fit; documented there."""

    x: str | None = None
    columns: Mapping[str, str] | None = None
    objective: str | None = None
    delta: float | str | None = None
    asymmetry: float = 10.0
    starts: int | pd.DataFrame | None = None
    weights: str | Array | None = None
    noise: str | float | Array | None = None
    cluster: str | Array | None = None
    fixed: Mapping[str, float] = field(default_factory=dict)
    tied: Mapping[str, str] = field(default_factory=dict)
    bounds: Mapping[str, tuple[float, float]] = field(default_factory=dict)
    priors: Mapping[str, tuple[float, float]] | str = field(default_factory=dict)
    arm: str | None = None
    shared: Sequence[str] = ()
    exclude: Sequence[str] = ()
    mix_fingerprints: bool = False

    def of_rows(self, rows: Array) -> FitOptions:
        """The same for some rows of the table, an array of bool."""
        per_row = {
            name: np.asarray(value)[rows]
            for name in ("weights", "noise", "cluster")
            if np.ndim(value := getattr(self, name))
        }
        return replace(self, **per_row)


@dataclass(frozen=True)
class BestFit:
    """The best fit of a law to points.

    Attributes
    ----------
    misfit : Misfit
    points : Points
    search : Search
        Where the starts led.
    best : Solution
        One row.
    """

    misfit: Misfit
    points: Points
    search: Search
    best: Solution

    @property
    def residuals(self) -> Array:
        """Measured - predicted on the scale of the objective, shape (n,)."""
        return -self.misfit.residual(self.best.coordinates)[0]

    @property
    def information(self) -> float:
        """See `Objective.information`."""
        free = len(self.misfit.space.free)
        return self.misfit.objective.information(self.residuals * self.misfit.sharpness, free)

    @cached_property
    def freedom(self) -> Freedom:
        """How well the independent groups of rows determine each parameter's standard error.

        Parameters on a bound do not move.
        """
        low, high = self.misfit.space.limits
        u = self.best.coordinates[0]
        moves = (low < u) & (u < high)
        jacobian = self.misfit.residual_jacobian(self.best.coordinates)[moves]
        prior_rows = None
        if self.misfit.prior is not None:
            noise = np.sqrt(np.mean((self.residuals * self.misfit.sharpness) ** 2))
            prior_rows = np.diag(noise / self.misfit.prior.width)[moves]
        return freedom(jacobian, self.points.group, prior_rows)

    @property
    def sample(self) -> Sample:
        """The quantities from which resamples are drawn."""
        residual = self.residuals
        noise = 0.0 if self.points.noise is None else self.points.noise / self.points.sharpness
        return Sample(
            fitted=self.misfit.target - residual,
            residual=residual,
            free=len(self.misfit.space.free),
            left=float(np.mean(self.freedom.left)) if len(self.freedom.left) else 1.0,
            cluster=self.points.cluster,
            noise=np.broadcast_to(noise, residual.shape),
            censored_group=None if self.points.bounds is None else self.points.bounds.group,
        )


def best_fit(law: str | Law, data: pd.DataFrame, options: FitOptions) -> BestFit:
    """Find the best parameters, without intervals. Raises as `analysis.fit`."""
    law = find(law)
    columns = _with_x(law, data, options.x, options.columns)
    if options.arm is not None:
        law, columns = _with_arms(law, data, options), {**columns, ARM: options.arm}
    elif options.shared:
        raise UserError("shared= needs arm=, the column that tells the arms apart")
    threshold = first_threshold(options.delta)
    objective = Objective.of(options.objective, threshold, options.asymmetry, law.errors)
    points = read_points(
        law,
        data,
        columns=columns,
        weights=options.weights,
        noise=options.noise,
        cluster=options.cluster,
        exclude=options.exclude,
        mix_fingerprints=options.mix_fingerprints,
        scale=objective.scale,
    )
    space = Space(law, options.fixed, options.tied, options.bounds)
    if points.different < len(space.free):
        raise TooFewPoints(
            f"{law.name} has {len(space.free)} free parameters ({', '.join(space.free)}) "
            f"and there are only {points.different} different points"
        )
    misfit = Misfit(
        space=space,
        objective=objective,
        columns=points.columns,
        target=objective.scale.of(points.response),
        weight=points.weight,
        sharpness=points.sharpness,
    )
    starts = _starts(law, points, options.starts)
    check_derivatives(law, starts, points.columns)
    fitted = _best(misfit, points, starts)
    spread = residual_spread(fitted.residuals * points.sharpness)
    if (scaled := scaled_threshold(options.delta, objective, spread, law.curve)) is not None:
        misfit = replace(misfit, objective=replace(objective, delta=scaled))
        fitted = _best(misfit, points, starts)
    priors = priors_in_force(law, options.priors, space.free)
    if priors:
        fitted = _best(_with_priors(fitted, priors), points, starts, fitted.search.scouts)
    if points.bounds is not None:
        fitted = _best(_with_censored(fitted, points.bounds), points, starts, fitted.search.scouts)
    return fitted


def refit(fitted: BestFit, *draws: Draws) -> list[Array]:
    """Coordinates of the best fit of each resample, shape (draws, free); of some sets of them.

    They begin at the best fit, or in turn at all that are as good: where the points leave a
    parameter open, resamples must not all stay where the search happened to end. All are one batch:
    the last steps of a few problems cost nearly what those of many do. Of many rows, resamples that
    an expansion around the best fit settles need no refit.
    """
    tied = np.concatenate([fitted.best.coordinates, fitted.search.tied()])
    refits = [from_expansion(fitted.misfit, tied, some) for some in draws]
    left = [some.some(~holds) for some, (_, holds) in zip(draws, refits, strict=True)]
    if any(map(len, left)):
        solutions = refit_from(tied, fitted.misfit, left)
        for (coordinates, holds), solution in zip(refits, solutions, strict=True):
            coordinates[~holds] = solution
    return [coordinates for coordinates, _ in refits]


def refit_from(
    places: Array,
    misfit: Misfit,
    draws: Sequence[Draws],
    tolerance: float = 1e-7,
    steps: int = 300,
) -> list[Array]:
    """`refit` that begins in turn at some places, (m, free), by the solver alone.

    `tolerance` and `steps` are those of `minimise`.
    """
    counts = [len(some) for some in draws]
    solutions = minimise(
        replace(misfit, draws=tuple(draws)),
        np.concatenate([np.resize(places, (count, places.shape[1])) for count in counts]),
        *misfit.space.limits,
        max_step=misfit.space.max_steps,
        damping=1e-4,
        tolerance=tolerance,
        patience=1,
        steps=steps,
    ).coordinates
    return np.split(solutions, np.cumsum(counts)[:-1])


def _best(misfit: Misfit, points: Points, starts: Array, scouts: Array | None = None) -> BestFit:
    solutions = search(misfit, starts, scouts)
    limits = misfit.space.limits
    best = minimise(misfit, solutions.best, *limits, damping=1e-4, tolerance=1e-14, steps=500)
    return BestFit(misfit, points, solutions, best)


def _with_priors(fitted: BestFit, priors: Mapping[str, tuple[float, float]]) -> Misfit:
    """Add to the objective what the priors say, in its own unit.

    The robust cost is no log-likelihood; `Objective.information` of the fit without priors is the
    exchange rate between them.
    """
    space = fitted.misfit.space
    centre, width = np.zeros(len(space.free)), np.full(len(space.free), np.inf)
    for name, (value, deviation) in priors.items():
        j, centre[j], width[j] = space.prior(name, value, deviation)
    return replace(fitted.misfit, prior=Prior(centre, width, fitted.information))


def _with_censored(fitted: BestFit, bounds: Bounds) -> Misfit:
    """Add what censored rows say, with the noise that they and the measured rows show together."""
    misfit, at = fitted.misfit, fitted.best.coordinates
    free = len(misfit.space.free)
    noise = fitted.points.noise or 0.0
    measured = len(misfit.target)
    squares = float(np.sum(fitted.residuals**2))
    spread = max(float(np.sqrt(squares / max(measured - free, 1))), noise, _LEAST_SPREAD)
    for _ in range(_ROUNDS):
        residuals = misfit.residual(at)[0]
        information = misfit.objective.information(residuals * misfit.sharpness, free)
        censored = Censored.of(bounds, misfit.scale, spread, information)
        misfit = replace(misfit, censored=censored)
        at = minimise(
            misfit, at, *misfit.space.limits, max_step=misfit.space.max_steps, damping=1e-4
        ).coordinates
        predicted = misfit.scale.of(
            misfit.space.law.predict(misfit.space.expand(at), bounds.columns)[0]
        )
        squares = float(np.sum(misfit.residual(at)[0] ** 2)) + censored.expected_squares(predicted)
        before, spread = spread, np.sqrt(squares / max(measured + len(censored) - free, 1))
        spread = max(float(spread), noise, _LEAST_SPREAD)
        if not np.isfinite(spread) or abs(spread - before) < _SETTLED * before:
            break
    return misfit


def _with_arms(law: Law, data: pd.DataFrame, options: FitOptions) -> Law:
    if options.arm not in getattr(data, "columns", ()):
        raise UserError(f"arm: the table has no column {options.arm!r}")
    arms = sorted(data[options.arm].astype(str).unique())
    if len(arms) < 2:
        raise UserError(f"arm: column {options.arm!r} has the one value {arms[0]!r}")
    return by_arm(law, arms, options.shared)


def _with_x(
    law: Law, data: pd.DataFrame, x: str | None, columns: Mapping[str, str] | None
) -> dict[str, str]:
    columns = dict(columns or {})
    if "x" not in law.columns:
        if x is not None:
            raise UserError(f"x={x!r}: {law.name} has no x, it reads {', '.join(law.inputs)}")
        return columns
    if x is not None:
        return {**columns, "x": x}
    if "x" not in columns and "x" not in getattr(data, "columns", ()):
        raise UserError(f"{law.name} is a law in one variable: say which with x='N', 'D' or 'C'")
    return columns


def priors_in_force(
    law: Law, priors: Mapping[str, tuple[float, float]] | str, free: Sequence[str]
) -> dict[str, tuple[float, float]]:
    """The law's own priors on its free parameters, with those that were given in their place.

    Raises
    ------
    UserError
        If `priors` is a word other than `NO_PRIORS`.
    """
    if isinstance(priors, str):
        if priors != NO_PRIORS:
            raise UserError(
                f"priors={priors!r}: allowed are {NO_PRIORS!r} and a mapping of parameters to"
                " (value, deviation)"
            )
        return {}
    law_priors = {p.name: p.prior for p in law.parameters if p.prior and p.name in free}
    return {**law_priors, **priors}


def _starts(law: Law, points: Points, starts: int | pd.DataFrame | None) -> Array:
    if isinstance(starts, pd.DataFrame):
        missing = [name for name in law.names if name not in starts.columns]
        if missing:
            raise UserError(f"starts: no column for {', '.join(missing)} of {law.name}")
        return starts[list(law.names)].to_numpy(float)
    if starts is not None and starts < 1:
        raise UserError(f"starts={starts!r} must be at least 1")
    return law.starts(points.columns, points.response, starts)
