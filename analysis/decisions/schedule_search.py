"""The best learning-rate schedule for a length under a fitted law of curves.

The schedule is straight lines between two dozen knots; L-BFGS-B moves these with exact derivatives,
from several shapes, within the constraints. What it gains over the usual shapes is then predicted
from all steps, for each of the fit's resamples, and by the fit's refits without one curve each: a
schedule that was chosen to please a law finds that law's mistakes, so a gain that refits do not
share, or that is less than the law misses on schedules it has not seen, is not certain.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from scipy.optimize import minimize

from scalinglab.analysis.fitting.peaks import other_peak_in_words, peaks_in_words
from scalinglab.analysis.fitting.result import Result
from scalinglab.analysis.intervals.left_out import few_curves_in_words
from scalinglab.analysis.intervals.spread import calibration_in_words, values_with_intervals
from scalinglab.analysis.laws.law import Law
from scalinglab.analysis.laws.schedule_columns import Course
from scalinglab.analysis.tables.thinning import thin_curves
from scalinglab.scaling.errors import UserError
from scalinglab.scaling.records.atomic import write_atomic

Array = np.ndarray

_NONE: Mapping = {}
_WSD = 0.2  # share of the run that is the cooldown of the usual WSD
_CERTAIN = 0.975  # share of the resamples that agree on the sign of a gain
_ITERATIONS = 120
_STEEPEST = 30.0  # a fall by exp of this much between two knots is a fall to the floor


@dataclass(frozen=True)
class BestSchedule:
    """A schedule and what it is predicted to gain.

    Attributes
    ----------
    table : DataFrame
        Its corners: ``step, lr``, straight lines between.
    rates : array, shape (steps,)
        Learning rate of every step.
    loss : dict of str to float
        Predicted last loss, with ``loss_lower`` and ``loss_upper``.
    gains : DataFrame
        One row a usual shape: ``over``, its predicted ``loss``, the ``gain`` (that minus the best
        schedule's) with its interval, ``share`` (of the resamples with a gain), ``refits_agree``
        (share of the refits with a gain; NaN without refits) and ``certain``: a gain in nearly all
        resamples and in all refits, of which there must be some, whose interval is above zero.
        Both intervals are as wide as `scalinglab.analysis.intervals.left_out` says.
    seconds : float
        Of the processor, that the search took.
    warnings : tuple of str
    """

    table: pd.DataFrame
    rates: Array
    loss: dict[str, float]
    gains: pd.DataFrame
    seconds: float
    warnings: tuple[str, ...]

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
        Of the run.
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
        Of the intervals.

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
    values = _search(result, course, peak, final_ratio, monotone, size)
    seconds = time.process_time() - began
    usual = usual_shapes(course, peak, final_ratio)
    judged = {"best": course.rates(values), **{k: course.rates(v) for k, v in usual.items()}}
    last = _last_losses(result, result.params_and_draws(), judged, N)
    refitted = result.left_out.params if refits else result.left_out.params[:0]
    refitted_losses = _last_losses(result, refitted, judged, N) if len(refitted) else {}
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


def usual_shapes(course: Course, peak: float, final_ratio: float) -> dict[str, Array]:
    """Cosine, linear and WSD with the same warm-up, peak and end, at the knots of a course."""
    passed = (course.knots - course.knots[0]) / (course.knots[-1] - course.knots[0])
    falls = {
        "cosine": (1 + np.cos(np.pi * passed)) / 2,
        "linear": 1 - passed,
        f"wsd ({_WSD:.0%} linear)": np.clip((1 - passed) / _WSD, 0, 1),
    }
    return {name: peak * (final_ratio + (1 - final_ratio) * fall) for name, fall in falls.items()}


def _search(
    result: Result, course: Course, peak: float, final_ratio: float, monotone: bool, size: Mapping
) -> Array:
    params = np.array([list(result.params.values())])
    floor, knots = final_ratio * peak, len(course.knots)
    coordinates = _falling(peak, floor) if monotone else _free(peak, floor)
    usual = list(usual_shapes(course, peak, final_ratio).values())
    candidates = list(usual)
    for start in usual:
        answer = minimize(
            _objective(result.law, params, course, size, coordinates.from_unconstrained),
            coordinates.to_unconstrained(start),
            jac=True,
            method="L-BFGS-B",
            bounds=coordinates.bounds(knots),
            options={"maxiter": _ITERATIONS},
        )
        candidates.append(coordinates.from_unconstrained(answer.x[:, None])[:, 0])
    judged = {str(k): course.rates(values) for k, values in enumerate(candidates)}
    last = _last_losses(result, params, judged, size.get("N"))
    return candidates[int(min(last, key=lambda k: last[k][0]))]


def _objective(
    law: Law,
    params: Array,
    course: Course,
    size: Mapping,
    from_unconstrained: Callable[[Array], Array],
) -> Callable[[Array], tuple[float, Array]]:
    """Last loss and its derivatives, by a complex step in all coordinates at once."""

    def value(x: Array) -> tuple[float, Array]:
        step = 1e-30
        moved = x[:, None] + 1j * step * np.eye(len(x))
        with np.errstate(all="ignore"):
            loss = law.predict(params, course.columns(law, from_unconstrained(moved), size))[0]
        return float(loss[0].real), loss.imag / step

    return value


@dataclass(frozen=True)
class _Coordinates:
    """Between knots and what the search moves."""

    to_unconstrained: Callable[[Array], Array]
    from_unconstrained: Callable[[Array], Array]
    bounds: Callable[[int], list[tuple[float, float]]]


def _free(peak: float, floor: float) -> _Coordinates:
    """Each knot by itself, as its share of the way from floor to peak."""
    return _Coordinates(
        lambda values: (values - floor) / (peak - floor),
        lambda x: floor + (peak - floor) * x,
        lambda knots: [(1e-6, 1.0)] * knots,
    )


def _falling(peak: float, floor: float) -> _Coordinates:
    """The first knot's share, then by how much the logarithm falls from knot to knot."""

    def to_unconstrained(values: Array) -> Array:
        share = np.maximum((values - floor) / (peak - floor), 1e-6)
        return np.concatenate([share[:1], -np.diff(np.log(share))])

    def from_unconstrained(x: Array) -> Array:
        fallen = np.concatenate([0 * x[:1], np.cumsum(x[1:], axis=0)])
        return floor + (peak - floor) * x[:1] * np.exp(-fallen)

    return _Coordinates(
        to_unconstrained,
        from_unconstrained,
        lambda knots: [(1e-3, 1.0), *[(0.0, _STEEPEST)] * (knots - 1)],
    )


def _last_losses(
    result: Result, params: Array, rates: Mapping[str, Array], N: float | None
) -> dict[str, Array]:
    """Predicted last loss of whole schedules, from all their steps; shape (params,) each."""
    losses = {}
    for name, lr in rates.items():
        frame = _frame(name, lr, N)
        is_last = np.zeros(len(frame), bool)
        is_last[-1] = True
        losses[name] = result.law.predict(params, result.law.read(frame, is_last))[:, 0]
    return losses


def _frame(name: str, lr: Array, N: float | None) -> pd.DataFrame:
    frame = pd.DataFrame({"run": name, "step": np.arange(len(lr)), "lr": lr})
    return frame if N is None else frame.assign(N=N)


def _loss(result: Result, lr: Array, N: float | None, level: float) -> dict[str, float]:
    """Last loss of a schedule, with the interval of a measurement if the fit has resamples."""
    frame = thin_curves(_frame("best", lr, N).assign(loss=np.nan))
    prediction = result.predict(
        frame.drop(columns="loss"), level if len(result.draws) else None
    ).iloc[-1]
    ends = {f"loss_{end}": prediction[end] for end in ("lower", "upper") if end in prediction}
    return {name: float(value) for name, value in ({"loss": prediction["loss"]} | ends).items()}


def _unseen_half_width(result: Result, lr: Array, N: float | None, level: float) -> float:
    """How far the last loss of a schedule may be off, in logarithms."""
    frame = _frame("best", lr, N)
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
    if "gain_lower" in row:  # the miss on the one schedule is hardly that on the other
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
