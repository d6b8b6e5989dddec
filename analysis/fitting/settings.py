"""The settings that a fit keeps in `Result.settings`: all that a reader needs to repeat it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from scalinglab.analysis.fitting.best_fit import FitOptions
from scalinglab.analysis.fitting.misfit import Misfit
from scalinglab.analysis.fitting.resampling import Resampling
from scalinglab.analysis.fitting.threshold import PUBLISHED
from scalinglab.analysis.tables.points import Points

_NONE: Mapping = {}


def fit_settings(
    misfit: Misfit,
    points: Points,
    options: FitOptions,
    resampling: Resampling,
    *,
    level: float,
    seed: int,
    peaks: Mapping[str, Any] = _NONE,
    priors: Mapping[str, Sequence[float]] = _NONE,
) -> dict[str, Any]:
    """Settings as plain values, which JSON holds.

    Parameters
    ----------
    misfit : Misfit
        What was minimised.
    points : Points
    options : FitOptions
        As they were asked for: what was left open is taken from `misfit`.
    resampling : Resampling
    level, seed
        As in `analysis.fit`.
    peaks : mapping
        See `scalinglab.analysis.fitting.peaks.peaks_of`.
    priors : mapping
        The priors that applied: parameter -> value and standard deviation.
    """
    settings = {
        "objective": misfit.objective.name,
        "errors": misfit.scale.name,
        "counted": points.counted,
        "delta": misfit.objective.delta,
        "delta_rule": _delta_rule(options.delta, misfit.objective.delta),
        "peaks": dict(peaks),
        "asymmetry": options.asymmetry,
        "level": level,
        "seed": seed,
        "resample": resampling.method if resampling.count else "none",
        "resamples": resampling.count,
        "withheld": resampling.withheld,
        "fixed": dict(options.fixed),
        "tied": dict(options.tied),
        "bounds": {name: list(pair) for name, pair in options.bounds.items()},
        "priors": {name: list(pair) for name, pair in priors.items()},
        "arms": list(getattr(misfit.space.law, "arms", ())),
        "shared": list(options.shared),
    }
    if misfit.censored is not None:
        settings["censored"] = len(misfit.censored)
    return settings


def _delta_rule(asked: float | str | None, delta: float) -> str:
    """How the Huber threshold was chosen."""
    if asked is not None and not isinstance(asked, str):
        return "given"
    return "published" if delta == PUBLISHED else "scaled"
