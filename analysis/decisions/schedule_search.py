"""Search for the learning-rate schedule of least predicted last loss.

The schedule is straight lines between two dozen knots. L-BFGS-B moves these with exact derivatives,
from several usual shapes, within the constraints.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy.optimize import minimize

from scalinglab.analysis.fitting.result import Result
from scalinglab.analysis.laws.law import Law
from scalinglab.analysis.laws.schedule_columns import Course

Array = np.ndarray

_WSD = 0.2  # share of the run that is the cooldown of the usual WSD
_ITERATIONS = 120
_STEEPEST = 30.0  # a fall by exp of this much between two knots is a fall to the floor


def usual_shapes(course: Course, peak: float, final_ratio: float) -> dict[str, Array]:
    """Cosine, linear and WSD with the same warm-up, peak and end, at the knots of a course."""
    passed = (course.knots - course.knots[0]) / (course.knots[-1] - course.knots[0])
    falls = {
        "cosine": (1 + np.cos(np.pi * passed)) / 2,
        "linear": 1 - passed,
        f"wsd ({_WSD:.0%} linear)": np.clip((1 - passed) / _WSD, 0, 1),
    }
    return {name: peak * (final_ratio + (1 - final_ratio) * fall) for name, fall in falls.items()}


def search_schedule(
    result: Result,
    course: Course,
    peak: float,
    final_ratio: float,
    *,
    monotone: bool,
    size: Mapping,
) -> Array:
    """Learning rates at the knots of a course whose predicted last loss is least.

    Parameters
    ----------
    result : Result
        A fit of a law of curves.
    course : Course
        The steps, and the knots between which the learning rate is linear.
    peak, final_ratio
        The learning rate stays between ``final_ratio * peak`` and ``peak``.
    monotone : bool
        Whether it may only fall after the warm-up.
    size : mapping
        ``N``, for laws that read it.
    """
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
    last = last_losses(result, params, judged, size.get("N"))
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
    """Maps between learning rates at knots and the coordinates in which the search moves."""

    to_unconstrained: Callable[[Array], Array]
    from_unconstrained: Callable[[Array], Array]
    bounds: Callable[[int], list[tuple[float, float]]]


def _free(peak: float, floor: float) -> _Coordinates:
    """Coordinates of a free schedule: each knot's share of the way from floor to peak."""
    return _Coordinates(
        lambda values: (values - floor) / (peak - floor),
        lambda x: floor + (peak - floor) * x,
        lambda knots: [(1e-6, 1.0)] * knots,
    )


def _falling(peak: float, floor: float) -> _Coordinates:
    """Coordinates of a falling schedule: the first knot's share of the way from floor to peak, then
    the falls of its logarithm from knot to knot.
    """

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


def last_losses(
    result: Result, params: Array, rates: Mapping[str, Array], N: float | None
) -> dict[str, Array]:
    """Predicted last loss of whole schedules, from all their steps; shape (params,) each."""
    losses = {}
    for name, lr in rates.items():
        frame = schedule_frame(name, lr, N)
        is_last = np.zeros(len(frame), bool)
        is_last[-1] = True
        losses[name] = result.law.predict(params, result.law.read(frame, is_last))[:, 0]
    return losses


def schedule_frame(name: str, lr: Array, N: float | None) -> pd.DataFrame:
    """A schedule as the table that laws of curves read: one row per step."""
    frame = pd.DataFrame({"run": name, "step": np.arange(len(lr)), "lr": lr})
    return frame if N is None else frame.assign(N=N)
