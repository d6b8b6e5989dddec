"""`fit`: one fitter for every law."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd

from analysis import resample as resampling
from analysis.diagnosis import diagnose
from analysis.extrapolation import check_top
from analysis.laws import find
from analysis.laws.law import Array, Law
from analysis.misfit import Draws, Misfit
from analysis.objective import Objective
from analysis.points import Points, read_points
from analysis.result import Result
from analysis.solver import Solution, minimise
from analysis.space import Space
from analysis.starts import Search, default_starts, search
from analysis.warnings import warn

DEFAULT_STARTS = 64


def fit(
    law: str | Law,
    data: pd.DataFrame,
    *,
    x: str | None = None,
    columns: Mapping[str, str] | None = None,
    resamples: int = 1000,
    seed: int = 0,
    level: float = 0.95,
    objective: str = "huber_log",
    delta: float = 1e-3,
    asymmetry: float = 10.0,
    starts: int | pd.DataFrame = DEFAULT_STARTS,
    weights: str | Array | None = None,
    noise: str | float | None = None,
    cluster: str | Array | None = None,
    resample: str = "auto",
    fixed: Mapping[str, float] | None = None,
    tied: Mapping[str, str] | None = None,
    bounds: Mapping[str, tuple[float, float]] | None = None,
    mix_fingerprints: bool = False,
) -> Result:
    """Fit a law to a table of points, with intervals and a diagnosis.

    Parameters
    ----------
    law : str or Law
        A name in `analysis.LAWS`, or a law of your own.
    data : DataFrame
        One row a point, with the columns of the law (``LAWS[name].inputs``) and its response.
        Rows with ``status == "diverged"`` are left out and counted.
    x : str, optional
        For laws in one variable: the column that is their x.
    columns : mapping, optional
        Column of the law -> column of the table, where they differ.
    resamples : int
        Number of resamples for the intervals; 0 for none.
    seed : int
        Of the resampling. Same data and seed, same result.
    level : float
        Of the intervals in `Result.summary` and `Result.report()`.
    objective : {"huber_log", "least_squares", "asymmetric"}
        See `Objective`.
    delta : float
        Where the Huber cost of a log residual turns from quadratic to linear.
    asymmetry : float
        For "asymmetric": how much more a prediction above the measurement costs.
    starts : int or DataFrame
        How many starts, or the starts themselves, one column a parameter.
    weights : str or array, optional
        Multiplies the cost of each row.
    noise : float, str or array, optional
        Known noise (standard deviation of log response, e.g. from seed repeats): one number, or
        one for each row.
    cluster : str or array, optional
        Rows that are not independent. Default: the column ``cluster`` if there is one.
    resample : {"auto", "rows", "clusters", "wild", "residual"}
        See `analysis.resample`.
    fixed : mapping, optional
        Parameter -> the value at which it is held.
    tied : mapping, optional
        Parameter -> the parameter whose value it takes.
    bounds : mapping, optional
        Parameter -> (low, high), in place of the law's own.
    mix_fingerprints : bool
        Allow points from runs trained by different code.

    Returns
    -------
    Result

    Raises
    ------
    ValueError
        For a law, column, option or value that makes no sense; one sentence saying which.

    Examples
    --------
    >>> import numpy as np, pandas as pd, analysis
    >>> N, D = np.meshgrid(np.geomspace(1e7, 1e9, 5), np.geomspace(1e9, 1e11, 5))
    >>> runs = pd.DataFrame({"N": N.ravel(), "D": D.ravel()})
    >>> runs["loss"] = 1.7 + 400 / runs.N**0.34 + 1800 / runs.D**0.37
    >>> result = analysis.fit("chinchilla", runs, resamples=0)
    >>> round(result.params["alpha"], 3)
    0.34
    """
    if not 0 < level < 1:
        raise ValueError(f"level={level!r} must lie between 0 and 1")
    if resamples < 0:
        raise ValueError(f"resamples={resamples!r} must not be negative")
    fitted = solve(
        law, data, x=x, columns=columns, objective=objective, delta=delta, asymmetry=asymmetry,
        starts=starts, weights=weights, noise=noise, cluster=cluster, fixed=fixed, tied=tied,
        bounds=bounds, mix_fingerprints=mix_fingerprints,
    )  # fmt: skip
    sample = fitted.sample
    method = resampling.choose_method(sample, resample)
    draws = np.empty((0, sample.free))
    if resamples:
        draws = refit(fitted, resampling.draw(sample, method, resamples, seed))
    space = fitted.misfit.space
    settings = {
        "objective": objective,
        "delta": delta,
        "asymmetry": asymmetry,
        "level": level,
        "seed": seed,
        "resample": method if resamples else "none",
        "resamples": resamples,
        "fixed": dict(space.fixed),
        "tied": dict(space.tied),
        "bounds": {name: list(pair) for name, pair in space.bounds.items()},
    }
    result = _result(fitted, draws, settings)
    return replace(result, warnings=warn(result))


@dataclass(frozen=True)
class Fitted:
    """A law brought to its best, before anything is concluded from it.

    Attributes
    ----------
    misfit : Misfit
    points : Points
    found : Search
        Where the starts led.
    best : Solution
        One row.
    """

    misfit: Misfit
    points: Points
    found: Search
    best: Solution

    @property
    def residuals(self) -> Array:
        """log(measured) - log(predicted), shape (n,)."""
        return -self.misfit.residual(self.best.coordinates)[0]

    @property
    def information(self) -> float:
        """See `Objective.information`."""
        free = len(self.misfit.space.free)
        return self.misfit.objective.information(self.residuals * self.misfit.sharpness, free)

    @property
    def sample(self) -> resampling.Sample:
        """What resamples are drawn from."""
        residual = self.residuals
        noise = 0.0 if self.points.noise is None else self.points.noise / self.points.sharpness
        return resampling.Sample(
            fitted=self.misfit.target - residual,
            residual=residual,
            free=len(self.misfit.space.free),
            cluster=self.points.cluster,
            noise=np.broadcast_to(noise, residual.shape),
        )


def solve(
    law: str | Law,
    data: pd.DataFrame,
    *,
    x: str | None = None,
    columns: Mapping[str, str] | None = None,
    objective: str = "huber_log",
    delta: float = 1e-3,
    asymmetry: float = 10.0,
    starts: int | pd.DataFrame = DEFAULT_STARTS,
    weights: str | Array | None = None,
    noise: str | float | None = None,
    cluster: str | Array | None = None,
    fixed: Mapping[str, float] | None = None,
    tied: Mapping[str, str] | None = None,
    bounds: Mapping[str, tuple[float, float]] | None = None,
    mix_fingerprints: bool = False,
) -> Fitted:
    """Find the best parameters, without intervals. Options as in `fit`."""
    law = find(law)
    points = read_points(
        law,
        data,
        columns=_with_x(law, data, x, columns),
        weights=weights,
        noise=noise,
        cluster=cluster,
        mix_fingerprints=mix_fingerprints,
    )
    space = Space(law, fixed or {}, tied or {}, bounds or {})
    if len(points) < len(space.free):
        raise ValueError(
            f"{law.name} has {len(space.free)} free parameters ({', '.join(space.free)}) "
            f"and there are only {len(points)} points"
        )
    misfit = Misfit(
        space=space,
        objective=Objective(objective, delta, asymmetry),
        columns=points.columns,
        target=np.log(points.response),
        weight=points.weight,
        sharpness=points.sharpness,
    )
    found = search(misfit, _starts(law, points, starts))
    return Fitted(misfit, points, found, _polish(misfit, found.solution))


def refit(fitted: Fitted, draws: Draws) -> Array:
    """Coordinates of the best fit of each resample, shape (draws, free)."""
    space = fitted.misfit.space
    return minimise(
        replace(fitted.misfit, draws=draws),
        np.repeat(fitted.best.coordinates, len(draws), axis=0),
        *space.limits,
        stride=space.strides,
        damping=1e-4,
        tolerance=1e-7,
        patience=1,
    ).coordinates


def _polish(misfit: Misfit, found: Solution) -> Solution:
    """The best of some solutions, to the last digits."""
    best = found.coordinates[[np.argmin(found.value)]]
    return minimise(misfit, best, *misfit.space.limits, damping=1e-4, tolerance=1e-14, steps=500)


def _result(fitted: Fitted, draws: Array, settings: dict) -> Result:
    misfit, points, best = fitted.misfit, fitted.points, fitted.best
    law, params = misfit.space.law, misfit.space.expand(best.coordinates)[0]
    return Result(
        law=law,
        params=dict(zip(law.names, params.tolist(), strict=True)),
        draws=pd.DataFrame(misfit.space.expand(draws), columns=list(law.names)),
        objective=float(best.value[0]) * misfit.objective.unit,
        settings=settings,
        points=len(points),
        clusters=len(points) if points.cluster is None else len(np.unique(points.cluster)),
        residuals=fitted.residuals,
        noise=points.noise,
        diagnosis=diagnose(misfit, fitted.found, best, draws),
        columns=points.renamed,
        ranges={
            name: (float(column.min()), float(column.max()))
            for name, column in points.columns.items()
            if column.ndim == 1
        },
        runs=points.runs,
        excluded=points.excluded,
        held_out=check_top(misfit),
    )


def _with_x(
    law: Law, data: pd.DataFrame, x: str | None, columns: Mapping[str, str] | None
) -> Mapping[str, str]:
    columns = dict(columns or {})
    if "x" not in law.columns:
        if x is not None:
            raise ValueError(f"x={x!r}: {law.name} has no x, its columns are {', '.join(law.inputs)}")
        return columns
    if x is not None:
        return {**columns, "x": x}
    if "x" not in columns and "x" not in getattr(data, "columns", ()):
        raise ValueError(f"{law.name} is a law in one variable: say which with x='N', 'D' or 'C'")
    return columns


def _starts(law: Law, points: Points, starts: int | pd.DataFrame) -> Array:
    if isinstance(starts, pd.DataFrame):
        missing = [name for name in law.names if name not in starts.columns]
        if missing:
            raise ValueError(f"starts: no column for {', '.join(missing)} of {law.name}")
        return starts[list(law.names)].to_numpy(float)
    if starts < 1:
        raise ValueError(f"starts={starts!r} must be at least 1")
    return default_starts(law, points.columns, points.response, starts)
