"""IsoFLOP points and a fitted surface: one cost for each budget, and the bias of parabolas."""

from __future__ import annotations

import numpy as np
import pandas as pd

from scalinglab.analysis.decisions.cost_functions import Cost
from scalinglab.analysis.decisions.isoflop import Minima, isoflop_minima
from scalinglab.analysis.decisions.optimum import best_split, loss_at, tokens_for_budget
from scalinglab.analysis.fitting.result import Result
from scalinglab.analysis.intervals.spread import log_log_slope

Array = np.ndarray


_SAME_COST = 1.02  # largest ratio of costs in a budget at which its points count as of one cost


_FAR_APART = 2.0  # and from which on no surface should bring them together


_BIASED = 0.1  # of N*, that a parabola alone may be wrong by without a word


def to_one_cost(
    points: pd.DataFrame, surface: Result, cost: Cost, budget: str | None
) -> tuple[pd.DataFrame, list[str]]:
    """Points of each budget, moved to its mean cost along the surface, at their N; and a warning.

    The points of a sweep have one cost as its authors count it, but several by another convention.
    """
    if budget is None or budget not in points:
        return points, []
    log_C = np.log(points["C"]).groupby(points[budget])
    apart = float(np.exp((log_C.max() - log_C.min()).max()))
    if not _SAME_COST < apart <= _FAR_APART:
        return points, []
    C = np.exp(log_C.transform("mean")).to_numpy(float)
    at_one_cost = points.assign(D=tokens_for_budget(cost, points["N"].to_numpy(float), C))
    moved = surface_losses(surface, at_one_cost) / surface_losses(surface, points)
    return points.assign(C=C, loss=points["loss"] * moved), [
        f"approach 2: the points of one budget differ up to {apart:.2g}-fold in this cost; their"
        " losses were brought to one cost along the surface"
    ]


def surface_losses(surface: Result, points: pd.DataFrame) -> Array:
    """The surface's loss at the columns ``N`` and ``D``, whichever columns it was fitted to."""
    best = np.array([list(surface.params.values())])
    N, D = (points[name].to_numpy(float)[None] for name in ("N", "D"))
    return loss_at(surface.law, best, N, D)[0]


def parabola_bias(
    surface: Result, points: pd.DataFrame, minima: Minima, cost: Cost, budget: str | None
) -> list[str]:
    """A warning if parabolas through noiseless points of the surface miss its best splits."""
    predicted_points = points.assign(loss=surface_losses(surface, points))
    without = isoflop_minima(predicted_points, budget=budget, resamples=0).table
    both = (minima.table["refused"] == "").to_numpy() & (without["refused"] == "").to_numpy()
    if both.sum() < 2:
        return []
    C = without["C"].to_numpy(float)[both]
    best = np.array([list(surface.params.values())])
    true = np.concatenate([best_split(surface.law, best, c, cost)[0] for c in C])
    by_parabola = without["N"].to_numpy(float)[both]
    off = np.log(by_parabola / true)
    if not np.isfinite(off).all() or np.abs(off).max() < np.log1p(_BIASED):
        return []
    slopes = [float(log_log_slope(C, n[:, None])[0]) for n in (by_parabola, true)]
    return [
        f"approach 2: at these sizes a parabola through the surface's own losses misses N* by"
        f" {np.expm1(off.min()):+.0%} to {np.expm1(off.max()):+.0%} and a by"
        f" {slopes[0] - slopes[1]:+.3f}: its interval does not show that"
    ]
