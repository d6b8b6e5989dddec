"""Refits of a law of curves without one curve each."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from scalinglab.analysis.fitting.best_fit import BestFit, refit
from scalinglab.analysis.fitting.extrapolation import subset
from scalinglab.analysis.intervals.draws import Draws
from scalinglab.analysis.intervals.left_out import MOST, NONE_LEFT_OUT, LeftOutRuns
from scalinglab.analysis.laws.error_scale import RELATIVE
from scalinglab.analysis.laws.law import Array

_ROWS = 20_000  # at most, that the refits see: they need not be closer than the law is right


def leave_out_runs(fitted: BestFit) -> LeftOutRuns:
    """Refit without one curve each, some of them where there are many; none of fewer than three."""
    checkpoints = fitted.points.checkpoints
    if checkpoints is None:
        return NONE_LEFT_OUT
    run = checkpoints["run"].to_numpy(str)
    names = np.unique(run)
    chosen = names[np.unique(np.linspace(0, len(names) - 1, MOST).round().astype(int))]
    every = -(-len(run) // _ROWS)
    is_thinned = np.arange(len(run)) % every == 0
    chosen = [name for name in chosen if _spread(fitted, is_thinned & (run != name))]
    if len(names) < 3 or not chosen:
        return NONE_LEFT_OUT
    misfit = subset(fitted.misfit, is_thinned)
    misfit = replace(misfit, weight=misfit.weight * every)
    keep = np.array([run[is_thinned] != name for name in chosen], np.float32)
    draws = Draws(counts=keep, group=np.arange(keep.shape[1]))
    (coordinates,) = refit(replace(fitted, misfit=misfit), draws)
    last = [_last(checkpoints["step"].to_numpy(float), run == name) for name in chosen]
    missed = [_miss(fitted, u, at) for u, at in zip(coordinates, last, strict=True)]
    return LeftOutRuns(
        runs=tuple(str(name) for name in chosen),
        missed=np.array(missed),
        params=fitted.misfit.space.expand(coordinates),
    )


def _miss(fitted: BestFit, coordinates: Array, at: int) -> float:
    """By how much a refit is too high at one row, in logarithms."""
    measured = fitted.points.response[at]
    forecast = fitted.misfit.scale.back(
        fitted.misfit.scale.of(measured) + fitted.misfit.residual(coordinates[None])[0][at]
    )
    return float(RELATIVE.of(RELATIVE.possible(forecast)) - RELATIVE.of(measured))


def _last(step: Array, rows: Array) -> int:
    at = np.flatnonzero(rows)
    return int(at[np.argmax(step[at])])


def _spread(fitted: BestFit, rows: Array) -> bool:
    """Without the curve each column still has a spread: else the law cannot be refitted."""
    plain = [c for c in fitted.points.columns.values() if c.ndim == 1]
    return bool(rows.any()) and all(np.ptp(column[rows]) > 0 for column in plain)
