"""A rule that shares a mixture among laws, and what it predicts in a fold; see `share_rules.py`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cache

import numpy as np
from held_out import DEFAULT
from scipy.optimize import nnls
from share_folds import Fold, development_sets

from scalinglab.analysis.choice.score import (
    FLOOR,
    MARGIN,
    NEAR,
    TOLD,
    HeldOut,
    log_densities,
    stacked,
    trend,
    win_share,
)
from scalinglab.analysis.laws import find

Array = np.ndarray

_STEPS = 200
_SUM_WEIGHT = 100.0  # of the equation that shares sum to 1


@dataclass(frozen=True)
class Rule:
    """A rule of shares; the present one by default.

    Attributes
    ----------
    windows : float
        How sure the origins must be that a window beats none: 0 takes the best score as it is,
        above 1 takes none.
    averaged : bool
        Average the windows of a law by their likelihood, instead of one.
    floor, margin : float
        As in `scalinglab.analysis.choice.score`.
    prior : float
        How many points the shares of other entries are worth.
    lean : bool
        Give the default law what the origins cannot tell.
    median : bool
        Of the laws, by share.
    bias : float
        How much of the shrunk bias is taken off.
    no_far : bool
        Do not score points that all laws which fit well name as outliers.
    question : float
        Logarithm of how far beyond the question lies.
    near : bool
        The prior is for laws within the margin.
    rows_each : float
        Rows that a law needs for each of its parameters; the default law is always there.
    shares : str
        "stacked", "largest", "equal" or "best", which nobody could know.
    """

    windows: float = 0.0
    averaged: bool = False
    floor: float = FLOOR
    margin: float = MARGIN
    prior: float = 0.0
    lean: bool = False
    median: bool = False
    bias: float = 0.0
    no_far: bool = False
    question: float = NEAR
    near: bool = False
    rows_each: float = 0.0
    shares: str = "stacked"


@dataclass(frozen=True)
class Candidates:
    """Each law with its window, or its windows averaged.

    Attributes
    ----------
    density : array, shape (laws, m)
    weights : array, shape (m,)
    ahead : array, shape (laws, h)
        Predicted - measured of the rows held out.
    effective : float
        How many independent points the origins come to.
    """

    density: Array
    weights: Array
    ahead: Array
    effective: float


def candidates_of(fold: Fold, rule: Rule) -> Candidates:
    """What the shares are decided by."""
    keep = ~fold.far if rule.no_far and not fold.far.all() else np.ones(len(fold.far), bool)
    held, cluster = _points(fold.held, keep), fold.cluster[keep]
    weights = held.weights(rule.question)
    by_cluster = np.bincount(cluster, weights)
    effective = 1 / float(by_cluster @ by_cluster)
    density, predicted = [], []
    for law in range(len(fold.laws)):
        windows = replace(held, error=fold.error[:, law][:, keep])
        of_window = log_densities(windows, weights, rule.question)
        allowed = fold.allowed[:, law]
        score = np.where(allowed, of_window @ weights, -np.inf)
        bias = _bias(windows, weights, rule)
        ahead = fold.ahead[:, law] - bias[:, None]
        if rule.averaged:
            likely = np.exp(effective * (score - score.max()))
            likely /= likely.sum()
            top = of_window.max(axis=0)
            density.append(np.log(likely @ np.exp(of_window - top)) + top)
            predicted.append(_mean(ahead, likely))
            continue
        at = int(np.argmax(score))
        if rule.windows > 0 and at:
            sure = kept(of_window[at] - of_window[0], weights, cluster)
            at = at if sure >= rule.windows else 0
        density.append(of_window[at])
        predicted.append(ahead[at])
    return Candidates(np.array(density), weights, np.array(predicted), effective)


def _points(held: HeldOut, keep: Array) -> HeldOut:
    return HeldOut(
        held.error[:, keep], np.unique(held.origin[keep], return_inverse=True)[1], held.row[keep],
        held.distance[keep], held.below[keep], held.noise,
    )  # fmt: skip


def _bias(windows: HeldOut, weights: Array, rule: Rule) -> Array:
    """The part of the bias at the question that is taken off, (windows,)."""
    if not rule.bias:
        return np.zeros(len(windows.error))
    bias = trend(windows, weights, rule.question)
    squared = bias.value**2
    known = np.where(
        np.isfinite(bias.standard_error), squared / (squared + bias.standard_error**2), 0.0
    )
    return rule.bias * known * bias.value


def errors_of(fold: Fold, rule: Rule, prior: Mapping[str, float]) -> Array:
    """Predicted - measured of the rows held out."""
    if rule.rows_each:
        fold = _without_large_laws(fold, rule.rows_each)
    laws = len(fold.laws)
    if not fold.held.distance.size:
        return _mean(fold.ahead[0], np.full(laws, 1 / laws))
    candidates = candidates_of(fold, rule)
    shares = _shares(fold, rule, candidates, prior)
    if rule.median:
        return _median(candidates.ahead, shares)
    return _mean(candidates.ahead, shares)


def _without_large_laws(fold: Fold, rows_each: float) -> Fold:
    rows = _rows_of_sets()[fold.set] - fold.ahead.shape[2]
    kept = [
        k
        for k, law in enumerate(fold.laws)
        if law == DEFAULT or len(find(law).names) * rows_each <= rows
    ]
    return replace(
        fold,
        laws=tuple(fold.laws[k] for k in kept),
        error=fold.error[:, kept],
        allowed=fold.allowed[:, kept],
        ahead=fold.ahead[:, kept],
        held=fold.held.of(kept),
    )


@cache
def _rows_of_sets() -> dict[str, int]:
    return {surface.name: len(surface.runs) for _, surface in development_sets("")}


def _shares(fold: Fold, rule: Rule, candidates: Candidates, prior: Mapping[str, float]) -> Array:
    density, weights = candidates.density, candidates.weights
    if rule.shares == "equal":
        return np.full(len(density), 1 / len(density))
    if rule.shares == "best":
        return _best_shares(candidates.ahead)
    if rule.prior:
        usual = np.array([prior[law] for law in fold.laws])
        if rule.near:
            score = density @ weights
            usual = np.where(score >= score.max() - rule.margin, usual, 0.0)
        shares = _with_prior(density, weights, usual, rule.prior, candidates.effective)
    else:
        shares = stacked(density, weights, rule.floor)
        near = density @ weights >= (density @ weights).max() - rule.margin
        if rule.margin != MARGIN:
            shares = _floored(density, weights, rule.floor, near)
    if rule.shares == "largest":
        return (np.arange(len(shares)) == np.argmax(shares)).astype(float)
    if rule.lean and DEFAULT in fold.laws:
        default = fold.laws.index(DEFAULT)
        best = int(np.argmax(density @ weights))
        sure = 1.0
        if best != default:
            sure = kept(density[best] - density[default], weights, fold.cluster)
        told = min(max((sure - 0.5) / (TOLD - 0.5), 0.0), 1.0)
        shares = told * shares + (1 - told) * (np.arange(len(shares)) == default)
    return shares


def _floored(density: Array, weights: Array, floor: float, near: Array) -> Array:
    shares = _with_prior(density, weights, np.ones(len(density)), 0.0, 1.0)
    shares = np.where(near, np.maximum(shares, min(floor, 1 / len(shares))), 0)
    return shares / shares.sum()


def _with_prior(
    density: Array, weights: Array, usual: Array, points: float, effective: float
) -> Array:
    """Stacked shares whose prior is worth some points (a Dirichlet's mode), (laws,)."""
    likely = np.exp(density - density.max(axis=0))
    usual = usual / usual.sum()
    shares = usual.copy()
    for _ in range(_STEPS):
        part = shares[:, None] * likely
        shares = effective * ((part / part.sum(axis=0)) @ weights) + points * usual
        shares /= shares.sum()
    return shares


def _best_shares(ahead: Array) -> Array:
    """Shares of the least squared error of the rows held out."""
    possible = np.isfinite(ahead).all(axis=1)
    shares = np.zeros(len(ahead))
    known = ahead[possible].T
    rows = np.vstack([known, np.full(known.shape[1], _SUM_WEIGHT)])
    shares[possible] = nnls(rows, np.append(np.zeros(len(known)), _SUM_WEIGHT))[0]
    return shares / shares.sum()


def _mean(ahead: Array, shares: Array) -> Array:
    some = shares > 0
    return shares[some] @ ahead[some]


def _median(ahead: Array, shares: Array) -> Array:
    order = np.argsort(ahead, axis=0)
    passed = np.cumsum(shares[order], axis=0) - shares[order] / 2
    sorted_ahead = np.take_along_axis(ahead, order, axis=0)
    return np.array(
        [
            np.interp(0.5, passed[:, j], np.where(np.isfinite(s), s, 10.0))
            for j, s in enumerate(sorted_ahead.T)
        ]
    )


def kept(lead: Array, weights: Array, cluster: Array) -> float:
    """`win_share` of a lead of log densities, (m,), at weighted points of clusters."""
    return win_share(np.bincount(np.unique(cluster, return_inverse=True)[1], lead * weights))
