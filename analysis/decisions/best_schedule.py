"""The best learning-rate schedule for a length under a fitted law of curves, and what it gains.

The gain over usual shapes is predicted from all steps, for each of the fit's resamples, and by the
fit's refits without one curve each. A schedule that is optimal under a law exploits the errors of
that law. So a gain is not certain if refits do not share it, or if it is smaller than the law's
errors on schedules that it was not fitted to.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from scalinglab.analysis.decisions.schedule_search import (
    last_losses,
    schedule_frame,
    search_schedule,
    usual_shapes,
)
from scalinglab.analysis.fitting.peaks import other_peak_in_words, peaks_in_words
from scalinglab.analysis.fitting.result import Result
from scalinglab.analysis.intervals.left_out import few_curves_in_words
from scalinglab.analysis.intervals.spread import calibration_in_words, values_with_intervals
from scalinglab.analysis.laws.schedule_columns import Course
from scalinglab.analysis.shown import Overview, Shown
from scalinglab.analysis.tables.thinning import thin_curves
from scalinglab.scaling.errors import UserError
from scalinglab.scaling.records.atomic import write_atomic

Array = np.ndarray


_CERTAIN = 0.975  # share of the resamples that agree on the sign of a gain


# Column of the gains -> what people read.
HEADINGS = {"share": "resamples agree", "refits_agree": "refits agree"}


@dataclass(frozen=True, repr=False)
class BestSchedule(Shown):
    """A schedule and its predicted gain.

    Attributes
    ----------
    table : DataFrame
        Its corners: ``step, lr``, straight lines between.
    rates : array, shape (steps,)
        Learning rate of every step.
    loss : dict of str to float
        Predicted last loss, with ``loss_lower`` and ``loss_upper``.
    gains : DataFrame
        One row for each usual shape: ``over``, its predicted ``loss``, the ``gain`` (that minus
        the best schedule's) with its interval, ``share`` (of the resamples with a gain),
        ``refits_agree`` (share of the refits with a gain; NaN without refits) and ``certain``: the
        interval is above zero, nearly all resamples and all refits show a gain, and there are
        refits. Intervals include the errors of `scalinglab.analysis.intervals.left_out`.
    seconds : float
        Processor time of the search.
    warnings : tuple of str
    """

    table: pd.DataFrame
    rates: Array
    loss: dict[str, float]
    gains: pd.DataFrame
    seconds: float
    warnings: tuple[str, ...]

    @property
    def shown(self) -> Overview:
        """As `Shown`: the corners of the schedule, and its gain over the usual ones."""
        gains = self.gains.rename(columns=HEADINGS)
        tables = {"Corners": self.table, "Predicted gain over the usual schedules": gains}
        return Overview(self.predicted(), tables, (), self.warnings)

    def predicted(self) -> str:
        """The predicted final loss with its interval."""
        low, high = (self.loss.get(f"loss_{end}", np.nan) for end in ("lower", "upper"))
        between = "" if np.isnan(low) else f" ({low:.4f} to {high:.4f})"
        return f"predicted final loss {self.loss['loss']:.4f}{between}"

    def write(self, path: str | Path) -> Path:
        """Write the corners as CSV, which ``schedule=file schedule.path=...`` trains."""
        path = Path(path)
        write_atomic(path.absolute(), self.table.to_csv(index=False))
        return path


def best_schedule(
    result: Result,
    steps: int,
    *,
    peak: float,
    warmup: int = 0,
    final_ratio: float = 0.0,
    monotone: bool = True,
    N: float | None = None,
    refits: bool = True,
    level: float = 0.95,
) -> BestSchedule:
    """The schedule of least predicted last loss.

    Parameters
    ----------
    result : Result
        A fit of a law of whole curves.
    steps : int
        Length of the run.
    peak : float
        The learning rate that no step exceeds.
    warmup : int
        Steps of a linear rise from zero.
    final_ratio : float
        No step after the warm-up goes below this times the peak.
    monotone : bool
        Whether the learning rate may only fall after the warm-up.
    N : float, optional
        The size, for laws that read it.
    refits : bool
        Whether gains are checked by the fit's refits without one curve each.
    level : float
        Level of the intervals.

    Raises
    ------
    UserError
        If the law is not one of curves or does not read N, or a constraint makes no sense.
    """
    began = time.process_time()
    if not (np.isfinite(peak) and peak > 0):
        raise UserError(f"peak = {peak!r} must be a positive learning rate")
    if not 0 <= final_ratio < 1:
        raise UserError(f"final_ratio = {final_ratio!r}: allowed is 0 to below 1")
    if (N is not None) != ("N" in result.law.inputs):
        reads = "does not read it" if N is not None else "needs the size of the model"
        raise UserError(f"N = {N}: the law {result.law.name!r} {reads}")
    course, size = Course.of(steps, warmup), {} if N is None else {"N": N}
    values = search_schedule(result, course, peak, final_ratio, monotone=monotone, size=size)
    seconds = time.process_time() - began
    usual = usual_shapes(course, peak, final_ratio)
    judged = {"best": course.rates(values), **{k: course.rates(v) for k, v in usual.items()}}
    last = last_losses(result, result.params_and_draws(), judged, N)
    refitted = result.left_out.params if refits else result.left_out.params[:0]
    refitted_losses = last_losses(result, refitted, judged, N) if len(refitted) else {}
    half_width = _unseen_half_width(result, judged["best"], N, level)
    gains = pd.DataFrame(
        [_gain(result, name, last, refitted_losses, level, half_width) for name in usual]
    )
    return BestSchedule(
        course.table(values),
        judged["best"],
        _loss(result, judged["best"], N, level),
        gains,
        seconds,
        tuple(_warnings(result, gains, judged["best"])),
    )


def _loss(result: Result, lr: Array, N: float | None, level: float) -> dict[str, float]:
    """Last loss of a schedule, with the interval of a measurement if the fit has resamples."""
    frame = thin_curves(schedule_frame("best", lr, N).assign(loss=np.nan))
    prediction = result.predict(
        frame.drop(columns="loss"), level if len(result.draws) else None
    ).iloc[-1]
    ends = {f"loss_{end}": prediction[end] for end in ("lower", "upper") if end in prediction}
    return {name: float(value) for name, value in ({"loss": prediction["loss"]} | ends).items()}


def _unseen_half_width(result: Result, lr: Array, N: float | None, level: float) -> float:
    """Half the width of the interval of a schedule's last loss, in logarithms."""
    frame = schedule_frame("best", lr, N)
    is_last = np.arange(len(frame)) == len(frame) - 1
    half = result.unseen_half_width(result.law.read(frame, is_last), level)
    return float(np.ravel(half)[-1])


def _gain(
    result: Result,
    name: str,
    last: Mapping[str, Array],
    refitted_losses: Mapping[str, Array],
    level: float,
    half_width: float,
) -> dict[str, Any]:
    gain, best = last[name] - last["best"], float(last["best"][0])
    row: dict[str, Any] = {"over": name, "loss": float(last[name][0])}
    row |= values_with_intervals({"gain": gain}, level, resampled=len(result.draws) > 0)
    if "gain_lower" in row:  # the law's errors on two schedules are hardly correlated
        miss = best * result.calibration_factor * half_width
        row["gain_lower"] = min(row["gain_lower"], row["gain"] - miss)
        row["gain_upper"] = max(row["gain_upper"], row["gain"] + miss)
    share = float((gain[1:] > 0).mean()) if len(gain) > 1 else np.nan
    agree = (
        float(np.mean(refitted_losses[name] > refitted_losses["best"]))
        if refitted_losses
        else np.nan
    )
    certain = share >= _CERTAIN and agree == 1 and row["gain_lower"] > 0
    return row | {"share": share, "refits_agree": agree, "certain": bool(certain)}


def _warnings(result: Result, gains: pd.DataFrame, rates: Array) -> list[str]:
    sentences = []
    if result.calibration_factor > 1:
        sentences.append(
            f"the interval of the loss is {calibration_in_words(result.calibration_factor)}"
        )
    unsure = gains.loc[~gains["certain"], "over"].tolist()
    if unsure:
        reason = (
            ": no fits without one curve each were made"
            if gains["refits_agree"].isna().all()
            else ""
        )
        sentences.append(
            f"it is not certain that this schedule gains over {', '.join(unsure)}{reason}"
        )
    peaks = result.settings["peaks"]
    of_curves = (
        peaks_in_words(result.law, peaks),
        other_peak_in_words(result.law, peaks, float(rates.max())),
        few_curves_in_words(len(result.runs)),
    )
    sentences += [sentence for sentence in of_curves if sentence]
    if "S1" in result.ranges and (area := float(rates.sum())) > 1.01 * result.ranges["S1"][1]:
        most = result.ranges["S1"][1]
        sentences.append(f"its area {area:.3g} is {area / most:.3g}x that of any fitted curve")
    lost = sorted(
        set(result.diagnosis.unidentified) - set(result.law.parameters_with_role("floor"))
    )
    if lost:
        sentences.append(f"the law depends on {', '.join(lost)}, which the curves do not identify")
    return sentences
