"""Forecast of a run's final loss, from its curve so far, its schedule and the curves of other runs.

A law of curves, fitted to finished runs, gives the loss at the end of the schedule, as the learning
rate is known in advance. Two more quantities come from hindcasts: each finished run is forecast in
the same way, from the others and from its own curve up to the same share of its steps.

- The share of its distance from the law that a run keeps until its end. A lucky seed keeps its
  advantage, noise does not. The forecast is moved by that share of the distance.
- The errors of such forecasts. The law's own prediction interval does not allow for schedules
  unlike the fitted ones: the interval follows the rule of `scalinglab.analysis.intervals.left_out`.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import pandas as pd

from scalinglab.analysis.default_laws import CURVE_LAW, SIZED_CURVE_LAW
from scalinglab.analysis.fitting.fit import fit
from scalinglab.analysis.fitting.peaks import other_peak_in_words, peaks_in_words
from scalinglab.analysis.fitting.result import Result
from scalinglab.analysis.forecasts.forecast import Forecast
from scalinglab.analysis.forecasts.hindcasts import (
    distance,
    hindcasts,
    left_out,
    misses,
    share_kept,
)
from scalinglab.analysis.intervals.left_out import few_curves_in_words, unseen_half_width
from scalinglab.analysis.intervals.spread import (
    IMPOSSIBLE,
    missing_draws_in_words,
)
from scalinglab.analysis.laws import find
from scalinglab.analysis.laws.error_scale import RELATIVE
from scalinglab.analysis.laws.law import Array, Law
from scalinglab.analysis.laws.registry import AUTO
from scalinglab.analysis.tables.thinning import thin_curves
from scalinglab.scaling.errors import UserError

_LOSSES = 40  # at most, of a curve
_STARTS = 16


def forecast_run(
    curves: pd.DataFrame,
    target: pd.DataFrame,
    *,
    law: str | Law | None = None,
    level: float = 0.95,
    resamples: int = 200,
    seed: int = 0,
    delta: float | str | None = None,
    calibration_factor: float = 1.0,
) -> Forecast:
    """Forecast the final loss of a run.

    Parameters
    ----------
    curves : DataFrame
        Runs that have ended: ``run, step, lr`` at every step (or thinned), ``loss`` where it was
        measured, and ``N`` where sizes differ.
    target : DataFrame
        The run, its whole planned schedule: the same columns, ``loss`` only where it has been
        measured so far (nowhere, for a planned run).
    law : str or Law, optional
        A law of curves, or ``"auto"``: the mixture of those of one size. Default: ``lr_annealing``
        fitted to the runs of the target's size, where there are at least two, else
        ``joint_annealing`` fitted to all sizes, of at least three.
    level : float
        Level of the interval.
    resamples, seed : int
        Of the fit.
    delta : float or str, optional
        As for `analysis.fit`.
    calibration_factor : float
        Widens the interval; see `scalinglab.analysis.forecasts.track`.

    Returns
    -------
    Forecast

    Raises
    ------
    UserError
        If the curves are too few, the target has no schedule, or its final loss is measured.
    """
    target = _whole(target)
    basis = fit_basis(
        curves, target, law=law, level=level, resamples=resamples, seed=seed, delta=delta
    )
    return basis.forecast(target).calibrated(calibration_factor)


@dataclass(frozen=True)
class Basis:
    """The common basis of the forecasts of runs of one size.

    Attributes
    ----------
    law : Result
    level : float
    left_out : tuple of DataFrame
        Curves that have ended, each with ``predicted`` by the law fitted to the others.
    """

    law: Result
    level: float
    left_out: tuple[pd.DataFrame, ...]

    def forecast(self, target: pd.DataFrame) -> Forecast:
        """Forecast one run; see `forecast_run`.

        Raises
        ------
        UserError
            If the law, or what it rests on, gives no loss or no interval at the run's end.
        """
        target = _whole(target)
        share = _share(target)
        level = self.level if len(self.law.draws) else None
        predicted = self.law.predict(target, level=level, unseen=False)
        end = predicted.iloc[-1]
        note = self._doubtful(end)
        past = hindcasts(self.left_out, share)
        kept_share = share_kept(past)
        missed = misses(past, kept_share)
        middle = RELATIVE.of(end["loss"]) + kept_share * distance(target, predicted["loss"])
        half = _half_width(end, missed, self.level)
        if not np.isfinite(middle + half):
            raise UserError(
                note
                or "too few curves for an interval: two ended runs, and resamples"
                ", each with a law that predicts possible losses"
            )
        table = past.assign(forecast=np.exp(missed) * past["measured"], error=missed)
        return Forecast(
            loss=float(np.exp(middle)),
            lower=float(np.exp(middle - half)),
            upper=float(np.exp(middle + half)),
            level=self.level,
            share=share,
            law=self.law,
            kept=kept_share,
            hindcast=table[["run", "forecast", "measured", "error"]],
            beyond=float(end["beyond"]),
            note="; ".join(s for s in (note, *self._of_curves(target)) if s),
            table=target,
        )

    def _of_curves(self, target: pd.DataFrame) -> Iterator[str]:
        """Sentences on properties of this schedule that no fitted curve has."""
        law, peaks = self.law.law, self.law.settings["peaks"]
        yield peaks_in_words(law, peaks)
        yield other_peak_in_words(law, peaks, float(target["lr"].max()))
        yield few_curves_in_words(len(self.law.runs))

    def _doubtful(self, end: pd.Series) -> str:
        """Why the law itself gives no interval, or one that allows for impossible resamples.

        Within the fitted curves the hindcasts can do without it; beyond they do not reach.
        """
        name = self.law.law.name
        if not end["loss"] > 0:
            raise UserError(f"{name} predicts a loss of {end['loss']:.3g} at the end of the run")
        if "lower" not in end:
            return ""
        reason = self.law.settings["withheld"] or missing_draws_in_words(
            end["impossible"], self.level, IMPOSSIBLE
        )
        if np.isnan(end["lower"]) and end["beyond"] > 1 + 1e-9:
            raise UserError(
                f"no forecast by {name} {end['beyond']:.2g}x beyond the curves it"
                f" knows: {reason or 'a refit without the outermost points fails there'}"
            )
        return reason


def fit_basis(
    curves: pd.DataFrame,
    target: pd.DataFrame,
    *,
    law: str | Law | None = None,
    level: float = 0.95,
    resamples: int = 200,
    seed: int = 0,
    delta: float | str | None = None,
) -> Basis:
    """Fit what the forecasts of all runs of the target's size rest on; see `forecast_run`.

    Raises
    ------
    UserError
        If the level does not lie between 0 and 1.
    """
    if not 0 < level < 1:
        raise UserError(f"level={level!r} must lie between 0 and 1")
    # Rows are told by their labels, and tables that were concatenated repeat some.
    curves = curves[curves["run"] != target["run"].iloc[0]].reset_index(drop=True)
    chosen, curves = _law_and_curves(law, curves, target)
    curves = _few_losses(curves if "thinned" in curves else thin_curves(curves))
    result = fit(
        chosen,
        curves,
        resamples=resamples,
        seed=seed,
        level=level,
        delta=delta,
        starts=_STARTS,
        mix_fingerprints=True,
    )
    return Basis(result, level, tuple(left_out(result, curves)))


def _whole(target: pd.DataFrame) -> pd.DataFrame:
    for name in ("run", "step", "lr"):
        if name not in target:
            raise UserError(f"target: the run to forecast needs the column {name!r}")
    if target.empty or target["run"].nunique() != 1:
        raise UserError(f"target: one run is forecast at a time, not {target['run'].nunique()}")
    target = target.sort_values("step", kind="stable").reset_index(drop=True)
    target = target.assign(loss=target.get("loss", np.nan))
    if pd.notna(target["loss"].iloc[-1]):
        raise UserError(f"run {target['run'].iloc[0]!r} has its final loss already")
    return target


def _law_and_curves(
    law: str | Law | None, curves: pd.DataFrame, target: pd.DataFrame
) -> tuple[str | Law, pd.DataFrame]:
    """The law, and the curves that it is fitted to: of the target's size, if those do."""
    has_size = "N" in curves and "N" in target
    same = curves[curves["N"] == target["N"].iloc[0]] if has_size else curves
    chosen: str | Law
    if law == AUTO:
        chosen = AUTO
    elif law is not None:
        chosen = law = find(law)
        if not law.curve:
            raise UserError(f"law = {law.name!r} is no law of curves: it knows no schedule")
        if "N" in law.inputs:
            same = curves
    else:
        sizes = curves["N"].nunique() if has_size else 1
        of_one_size = same["run"].nunique() >= 2 or sizes < 3
        chosen, same = (find(CURVE_LAW), same) if of_one_size else (find(SIZED_CURVE_LAW), curves)
    if same["run"].nunique() < 2:
        raise UserError(
            f"{same['run'].nunique()} ended runs have the size of run {target['run'].iloc[0]!r}: a"
            " forecast needs two curves of its size, or curves of three other sizes"
        )
    return chosen, same


def _few_losses(curves: pd.DataFrame) -> pd.DataFrame:
    """At most so many losses a curve: neighbours miss a law together, and each is fitted often.

    Without clusters: branches of one trunk differ in what is asked for, their ends.
    """
    measured = curves["loss"].notna()
    rank = curves[measured].sort_values("step").groupby("run").cumcount(ascending=False)
    count = curves[measured].groupby("run")["loss"].transform("size")
    every = np.ceil(count / _LOSSES)
    is_kept = (rank.reindex(count.index) % every == 0).reindex(curves.index, fill_value=False)
    return curves.assign(loss=curves["loss"].where(is_kept)).drop(
        columns="cluster", errors="ignore"
    )


def _share(target: pd.DataFrame) -> float:
    measured = target.loc[target["loss"].notna(), "step"]
    return float(measured.max() / target["step"].max()) if len(measured) else 0.0


def _half_width(end: pd.Series, missed: Array, level: float) -> float:
    """Half-width of the interval, in logarithms."""
    by_law = float(np.log(end["upper"] / end["lower"]) / 2) if "lower" in end else np.nan
    if not np.isfinite(by_law):
        if not len(missed):
            return np.nan
        by_law = 0.0
    return float(unseen_half_width(by_law, missed, level))
