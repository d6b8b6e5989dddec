"""`fit`: one fitter for every law."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np
import pandas as pd

from scalinglab.analysis.fitting.basins import basin_warnings
from scalinglab.analysis.fitting.best_fit import (
    BestFit,
    FitOptions,
    best_fit,
    priors_in_force,
    refit,
)
from scalinglab.analysis.fitting.design import point_warnings
from scalinglab.analysis.fitting.diagnosis import diagnose
from scalinglab.analysis.fitting.extrapolation import check_top
from scalinglab.analysis.fitting.left_out import leave_out_runs
from scalinglab.analysis.fitting.misfit import Misfit
from scalinglab.analysis.fitting.mixture import fit_mixture
from scalinglab.analysis.fitting.outliers import far_points, outlier_warnings
from scalinglab.analysis.fitting.peaks import peaks_of
from scalinglab.analysis.fitting.resampling import GIVEN, resample_fit
from scalinglab.analysis.fitting.result import Result
from scalinglab.analysis.fitting.settings import fit_settings
from scalinglab.analysis.fitting.warnings import fit_warnings
from scalinglab.analysis.intervals.draws import Draws
from scalinglab.analysis.intervals.freedom import reason_to_withhold
from scalinglab.analysis.intervals.measured import Measured
from scalinglab.analysis.intervals.resample import draw
from scalinglab.analysis.intervals.rolling import (
    NO_ORIGINS,
    Origins,
    as_draws,
    judge_refits,
    plan_refits,
)
from scalinglab.analysis.laws.arms import ARM
from scalinglab.analysis.laws.law import Array, Law
from scalinglab.analysis.laws.registry import AUTO
from scalinglab.analysis.progress import steps
from scalinglab.scaling.errors import UserError

_FEW = 200  # resamples of a fit that serves only for a comparison
_NONE: Mapping = {}


def fit(
    law: str | Law,
    data: pd.DataFrame,
    *,
    x: str | None = None,
    columns: Mapping[str, str] | None = None,
    resamples: int = 1000,
    seed: int = 0,
    level: float = 0.95,
    objective: str | None = None,
    delta: float | str | None = None,
    asymmetry: float = 10.0,
    starts: int | pd.DataFrame | None = None,
    weights: str | Array | None = None,
    noise: str | float | Array | None = None,
    cluster: str | Array | None = None,
    resample: str | Array = "weights",
    fixed: Mapping[str, float] = _NONE,
    tied: Mapping[str, str] = _NONE,
    bounds: Mapping[str, tuple[float, float]] = _NONE,
    priors: Mapping[str, tuple[float, float]] | str = _NONE,
    arm: str | None = None,
    shared: Sequence[str] = (),
    exclude: Sequence[str] = (),
    mix_fingerprints: bool = False,
    beyond: float | None = None,
) -> Result:
    """Fit a law to a table of points, with intervals and a diagnosis.

    Parameters
    ----------
    law : str or Law
        A name in `analysis.LAWS`, a law of your own, or ``"auto"``: an average of the laws of N and
        D (or of curves), weighted by their predictions of held-out points
        (`scalinglab.analysis.fitting.mixture`).
    data : DataFrame
        One row per point, with the columns of the law (``LAWS[name].inputs``) and its response.
        Rows with ``status == "diverged"`` are left out and counted. Where the response NAME is
        empty and ``NAME_at_most`` or ``NAME_at_least`` is not, the row is censored: its bound is
        fitted by its likelihood (`scalinglab.analysis.fitting.censored`).
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
    objective : {"huber_log", "huber", "least_squares", "asymmetric"}, optional
        See `Objective`. Default: huber_log for laws with relative errors (losses), huber for those
        with absolute ones (accuracies, task errors).
    delta : float or {"published", "scaled"}, optional
        Where the Huber cost of a residual turns from quadratic to linear: in units of the response
        for huber, relative for huber_log. ``"published"`` is 1e-3, ``"scaled"`` 1.345 times the
        spread of the residuals. Default: published; scaled for curves whose residuals have more
        than three times that spread.
    asymmetry : float
        For "asymmetric": how much more a prediction above the measurement costs.
    starts : int or DataFrame, optional
        How many starts, or the starts themselves, one column per parameter. Default: 64, or those
        that the law guesses.
    weights : str or array, optional
        Multiplies the cost of each row.
    noise : float, str or array, optional
        Known noise (standard deviation of log response, or of the response where errors are
        absolute): one number, or one for each row. Default:
        that of repeats, where the column ``seed`` shows some (`analysis.seed_noise`). Intervals
        are never narrower than it allows.
    cluster : str or array, optional
        Rows that are not independent. Default: the column ``cluster`` if there is one, else
        checkpoints of one run (``run_id`` or ``run``).
    resample : {"weights", "rows", "clusters", "residual"} or array
        See `scalinglab.analysis.intervals.resample.draw`. An array, shape (resamples, rows), holds
        what the response could have been: where it is itself the outcome of fits, their doubt goes
        on into this one.
    fixed : mapping, optional
        Parameter -> the value at which it is held.
    tied : mapping, optional
        Parameter -> the parameter whose value it takes.
    bounds : mapping, optional
        Parameter -> (low, high), in place of the law's own.
    priors : mapping or "none", optional
        Parameter -> (value, standard deviation), both in the parameter's unit. Laws that carry
        priors of their own (`Parameter.prior`) keep those of the others; "none" leaves all out.
    arm : str, optional
        A column that tells recipes apart: each gets its own parameters, ``name[arm]``.
    shared : list of str, optional
        With `arm`: parameters that have one value for all arms.
    exclude : list of str
        Rows to leave out, each counted in `Result.excluded`: rules by name (``"unmeasured"``,
        ``"unfinished"``, ``"mid_schedule"``: `scalinglab.analysis.tables.exclusion.RULES`) or
        conditions on the table's columns (``"D < 1e9"``, `scalinglab.scaling.text.conditions`); the
        law's names serve, too.
    mix_fingerprints : bool
        Allow points from runs trained by different code.
    beyond : float, optional
        With ``"auto"``: how many times beyond the largest budget the question lies; default 2.

    Returns
    -------
    Result

    Raises
    ------
    UserError
        For a law, column, option or value that makes no sense; one sentence saying which.

    Examples
    --------
    >>> import numpy as np, pandas as pd
    >>> from scalinglab import analysis
    >>> N, D = np.meshgrid(np.geomspace(1e7, 1e9, 5), np.geomspace(1e9, 1e11, 5))
    >>> runs = pd.DataFrame({"N": N.ravel(), "D": D.ravel()})
    >>> runs["loss"] = 1.7 + 400 / runs.N**0.34 + 1800 / runs.D**0.37
    >>> result = analysis.fit("chinchilla", runs, resamples=0)
    >>> round(result.params["alpha"], 3)
    0.34
    """
    if not 0 < level < 1:
        raise UserError(f"level={level!r} must lie between 0 and 1")
    if resamples < 0:
        raise UserError(f"resamples={resamples!r} must not be negative")
    options = FitOptions(
        x=x,
        columns=columns,
        objective=objective,
        delta=delta,
        asymmetry=asymmetry,
        starts=starts,
        weights=weights,
        noise=noise,
        cluster=cluster,
        fixed=fixed,
        tied=tied,
        bounds=bounds,
        priors=priors,
        arm=arm,
        shared=shared,
        exclude=exclude,
        mix_fingerprints=mix_fingerprints,
    )
    if law == AUTO:
        if resample != "weights":
            raise UserError("resample is of one law: law=auto resamples by weights")
        result: Result = fit_mixture(
            data, options, resamples=resamples, seed=seed, level=level, beyond=beyond
        )
    else:
        result = _fit_one_law(law, data, options, resample, resamples, seed, level)
    return replace(result, table=data.copy(deep=False))  # for figures


def _fit_one_law(
    law: str | Law,
    data: pd.DataFrame,
    options: FitOptions,
    resample: str | Array,
    resamples: int,
    seed: int,
    level: float,
) -> Result:
    with steps(4, inside=True) as begin:
        begin("best fit")
        fitted = best_fit(law, data, options)
        begin("resamples")
        resampling = resample_fit(fitted, resample, resamples, seed, len(data))
        fitted_law = fitted.misfit.space.law
        settings = fit_settings(
            fitted.misfit,
            fitted.points,
            options,
            resampling,
            level=level,
            seed=seed,
            peaks=peaks_of(fitted_law, fitted.points, data),
            priors=priors_in_force(fitted_law, options.priors, fitted.misfit.space.free),
        )
        result = _result(fitted, resampling.draws, settings)
        begin("refits without parts")
        result = replace(result, left_out=leave_out_runs(fitted))
        begin("checks")
        # Fits of some of the rows have the threshold of all: another one is another objective.
        options = replace(options, delta=fitted.misfit.objective.delta)
        of_points = point_warnings(fitted_law, fitted.points, data, options.arm)
        of_outliers = outlier_warnings(
            result, fitted.points, data, lambda rows: _of_rows(law, data, rows, options, settings)
        )
        return replace(
            result,
            warnings=(*fit_warnings(result), *basin_warnings(fitted), *of_outliers, *of_points),
        )


def _of_rows(
    law: str | Law, data: pd.DataFrame, rows: Array, options: FitOptions, settings: dict
) -> Result:
    """The same fit of some rows, an array of bool, with a few resamples if it had some."""
    fitted = best_fit(law, data[rows], options.of_rows(rows))
    few = 0 if settings["resample"] in ("none", GIVEN) else min(settings["resamples"], _FEW)
    drawn = None
    if few and not reason_to_withhold(fitted.freedom):
        drawn = draw(
            fitted.sample, settings["resample"], few, settings["seed"], fitted.misfit.prior
        )
    return _result(fitted, drawn, settings | {"resamples": few, "withheld": ""})


def _refits(
    fitted: BestFit, drawn: Draws | None, ranges: Mapping[str, tuple[float, float]]
) -> tuple[Array, Origins]:
    """Coordinates of the resamples, and what refits with less in view say of the law."""
    if drawn is None or not len(drawn):
        return np.empty((0, len(fitted.misfit.space.free))), NO_ORIGINS
    columns, space = fitted.points.columns, fitted.misfit.space
    planned = plan_refits(columns, list(ranges), len(space.free))
    if not planned:
        return refit(fitted, drawn)[0], NO_ORIGINS
    ahead = as_draws(planned)
    if (censored := fitted.misfit.censored) is not None:
        ahead = replace(ahead, censored=censored.kept_by(planned, columns))
    draws, coordinates = refit(fitted, drawn, ahead)
    residuals = [fitted.misfit.residual(u[None])[0] for u in coordinates]
    params = space.expand(coordinates)
    free = len(space.free)
    far = far_points(space.law, fitted.residuals, fitted.points, free)
    return draws, judge_refits(planned, columns, params, residuals, free, far)


def _result(fitted: BestFit, drawn: Draws | None, settings: dict) -> Result:
    misfit, points, best = fitted.misfit, fitted.points, fitted.best
    law, params = misfit.space.law, misfit.space.expand(best.coordinates)[0]
    # A run far from the law tells nothing of the law at its place: the range ends before it.
    is_far, near = far_points(law, fitted.residuals, points, len(misfit.space.free)), points.columns
    if is_far.any():  # none does of a law of curves, whose columns have rows without a residual
        near = {name: column[~is_far] for name, column in near.items()}
    ranges = {
        name: (float(column.min()), float(column.max()))
        for name, column in near.items()
        if column.ndim == 1 and name != ARM
    }
    draws, rolled = _refits(fitted, drawn, ranges)
    return Result(
        law=law,
        params=dict(zip(law.names, params.tolist(), strict=True)),
        draws=_drawn(misfit, draws, settings),
        objective=misfit.objective_value(best.coordinates),
        settings=settings,
        points=len(points),
        clusters=len(points) if points.cluster is None else len(np.unique(points.cluster)),
        residuals=fitted.residuals,
        noise=points.noise,
        diagnosis=diagnose(misfit, fitted.search, best, draws, fitted.freedom.least),
        columns=points.renamed,
        ranges=ranges,
        measured=Measured.of(near, tuple(ranges)),
        runs=points.runs,
        excluded=points.excluded,
        held_out=check_top(misfit, best.coordinates, points.group),
        origins=rolled,
    )


def _drawn(misfit: Misfit, draws: Array, settings: dict) -> pd.DataFrame:
    """The resamples' parameters; NaN where they would show less doubt than there is."""
    law = misfit.space.law
    if settings["withheld"]:
        return pd.DataFrame(np.nan, range(settings["resamples"]), list(law.names))
    return pd.DataFrame(misfit.space.expand(draws), columns=list(law.names))
