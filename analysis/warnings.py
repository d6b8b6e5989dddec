"""Warnings about a fit, in plain words."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from analysis.result import Result


def warn(result: Result) -> tuple[str, ...]:
    """What a reader of the fit must know before they use its numbers."""
    checks = (_unidentified, _lonely_best, _not_converged, _few_spare_points)
    return tuple(sentence for check in checks for sentence in check(result))


def _unidentified(result: Result) -> list[str]:
    return [
        f"{name} is unidentified: {reason}; do not read its value"
        for name, reason in result.diagnosis.unidentified.items()
    ]


def _lonely_best(result: Result) -> list[str]:
    agree, starts = result.diagnosis.agree, result.diagnosis.starts
    if starts < 4 or agree >= 2.5 / starts:
        return []
    return [f"only {agree:.1%} of {starts} starts found the best minimum: there may be another"]


def _not_converged(result: Result) -> list[str]:
    if result.diagnosis.gradient < 1e-3 or not np.isfinite(result.diagnosis.gradient):
        return []
    return [f"the fit may not be converged: the scaled gradient is {result.diagnosis.gradient:.1e}"]


def _few_spare_points(result: Result) -> list[str]:
    spare = result.clusters - len(result.free)
    if spare >= len(result.free):
        return []
    kind = "independent groups of points" if result.clusters < result.points else "points"
    return [
        f"{result.clusters} {kind} for {len(result.free)} free parameters: "
        "the intervals rest on very little"
    ]
