"""How well a design of points will determine a law, before any of them is trained.

The Fisher information of the points at a reference law gives the width of the intervals; nothing is
trained or fitted.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd
from scipy.special import ndtri

from scalinglab.analysis.laws import find
from scalinglab.analysis.laws.error_scale import ERROR_SCALES
from scalinglab.analysis.laws.law import Array, Law
from scalinglab.analysis.laws.registry import read_as
from scalinglab.analysis.tables.typed import highest
from scalinglab.scaling.errors import UserError
from scalinglab.scaling.records.plan_file import AnswerConfig

# Where the curvature has no size along some direction, the points leave it open.
_SINGULAR = 1e-10
_VAGUE = 0.5  # a standard error beyond this share of a parameter says nothing about it


@dataclass(frozen=True)
class Expectation:
    """The expected precision of a fit to planned points.

    Attributes
    ----------
    law : Law
    params : dict
        Parameters of the reference law.
    errors : dict
        Expected standard error of each parameter; infinite where the points leave it open.
    target : dict
        The point that is predicted.
    loss, width : float
        The law's value there, and the half-width of the interval of the *law* as a share of it (in
        the response's unit where errors are absolute).
    noise, level : float
    response : str
        What is predicted, in words.
    """

    law: Law
    params: dict[str, float]
    errors: dict[str, float]
    target: dict[str, float]
    loss: float
    width: float
    noise: float
    level: float
    response: str = "the loss"

    @property
    def unidentified(self) -> list[str]:
        """Parameters whose standard error is as large as half of them, or more."""
        return [
            name
            for name, error in self.errors.items()
            if not error < _VAGUE * abs(self.params[name])
        ]

    def sentence(self) -> str:
        """The expected precision in words."""
        at = ", ".join(f"{name} = {value:.3g}" for name, value in self.target.items())
        reference = ", ".join(f"{name} {value:.3g}" for name, value in self.params.items())
        if not np.isfinite(self.width):
            outcome = f"{self.response} at {at} will not be determined"
        else:
            width = ERROR_SCALES[self.law.errors].say(self.width)
            outcome = (
                f"{self.response} at {at} to +-{width} ({self.level:.0%}) if the law is exactly"
                " true; a report adds what the law itself misses"
            )
        vague = (
            f" {', '.join(self.unidentified)} will not be identifiable."
            if self.unidentified
            else ""
        )
        return (
            f"expected precision of the fit of {self.law.name!r}: {outcome}.{vague} Assumes "
            f"{reference}, and {self.noise:.2%} of independent noise"
        )


def expect(
    law: str | Law,
    points: pd.DataFrame,
    target: Mapping[str, float],
    *,
    noise: float,
    params: Mapping[str, float] | None = None,
    level: float = 0.95,
) -> Expectation:
    """The width of the intervals that a fit to some points will have.

    Parameters
    ----------
    law : str or Law
        Without schedules: a law of final losses.
    points : DataFrame
        The law's columns, one row per planned run; repeats count as often as they stand.
    target : mapping
        The point to predict.
    noise : float
        Standard deviation of a measured loss, relative (absolute for laws of accuracies).
    params : mapping, optional
        The reference law. Default: the published one of the law, where it has one.
    level : float

    Raises
    ------
    UserError
        If the law is one of curves, or `params` or `target` do not name what it has.
    """
    law = find(law)
    reference = dict(params or law.reference)
    if law.curve:
        raise UserError(f"{law.name!r} is a law of curves: what is expected of it is not computed")
    if set(reference) != set(law.names):
        raise UserError(
            f"the reference names {sorted(reference)}; {law.name!r} has the "
            f"parameters {', '.join(law.names)}"
        )
    missing = set(law.columns) - set(target)
    if missing:
        raise UserError(
            f"the target has no {', '.join(sorted(missing))}; {law.name!r} needs "
            f"{', '.join(law.columns)}"
        )
    at = np.array([[float(reference[name]) for name in law.names]])
    covariance = _covariance(_slopes(law, at, points), noise)
    at_target = pd.DataFrame([{name: float(target[name]) for name in law.columns}])
    slope = _slopes(law, at, at_target)[0]
    finite = np.isfinite(covariance).all()
    spread = float(np.sqrt(slope @ covariance @ slope)) if finite else np.inf
    errors = np.sqrt(np.diag(covariance)) if finite else np.full(len(law.names), np.inf)
    loss = float(law.predict(at, law.read(at_target))[0, 0])
    return Expectation(
        law,
        reference,
        dict(zip(law.names, map(float, errors), strict=True)),
        dict(target),
        loss,
        float(ndtri((1 + level) / 2)) * spread,
        noise,
        level,
    )


def _slopes(law: Law, at: Array, points: pd.DataFrame) -> Array:
    """Derivatives of the response on the scale of its errors, shape (points, parameters)."""
    value, jacobian = law.jacobian(at, law.read(points))
    return (jacobian[0] * ERROR_SCALES[law.errors].slope(value[0])).T


def _covariance(slopes: Array, noise: float) -> Array:
    """noise^2 (J^T J)^-1, all infinite where the points leave a direction open."""
    size = np.linalg.norm(slopes, axis=0)
    if (size == 0).any():
        return np.full((slopes.shape[1],) * 2, np.inf)
    values, directions = np.linalg.eigh((slopes / size).T @ (slopes / size))
    if values[0] <= _SINGULAR * values[-1]:
        return np.full((slopes.shape[1],) * 2, np.inf)
    return noise**2 * (directions / values) @ directions.T / np.outer(size, size)


def expect_of_plan(answer: AnswerConfig, points: pd.DataFrame) -> Expectation | None:
    """What to expect of a study's fit; None if it names no target and holds nothing out.

    Parameters
    ----------
    answer : AnswerConfig
        What the study asks for.
    points : DataFrame
        Planned runs: ``N, D, C`` and ``role`` (joined by commas).
    """
    roles = points["role"].str.split(",")
    fitted = points[["fit" in names for names in roles]]
    held_out = points[["held_out" in names for names in roles]]
    law = read_as(answer.law)
    reference = answer.reference or law.reference
    columns = {name: answer.x if name == "x" else name for name in law.columns}
    if law.curve or not reference or fitted.empty or not set(columns.values()) <= {"N", "D", "C"}:
        return None
    of_law = {column: name for name, column in columns.items()}
    target = {of_law.get(name, name): value for name, value in answer.target.items()}
    if not target:
        if held_out.empty:
            return None
        largest = highest(held_out, "C")
        target = {name: float(largest[column]) for name, column in columns.items()}
    points = fitted[list(columns.values())].set_axis(list(columns), axis=1)
    expected = expect(law, points, target, noise=answer.noise, params=reference)
    named = {columns.get(name, name): value for name, value in target.items()}
    response = "the loss" if answer.kind == "law" else f"what the verdict {answer.kind} predicts"
    return replace(expected, target=named, response=response)
