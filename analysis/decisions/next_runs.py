"""Which further runs tell most about a target for their cost.

The fit's resamples are laws that could be, and beyond the measured range each may wander off as
rolling-origin refits do. Over them, the loss of a run not yet made and the target
vary together; a run whose loss goes with the target, by more than its noise, tells about it:
measuring it leaves the variance

    Var(t | y) = Var(t) - Cov(t, y)^2 / (Var(y) + noise^2)

which for a linear law is the design criterion by its Jacobian (c-optimality; Chaloner and
Verdinelli 1995), and needs no derivative. Runs are chosen one after the other, each by the
logarithm of the target's variance that it takes away per unit of cost, alone or with the best run
after it: a run may pay only together with another.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from analysis.decisions.cost_functions import SIX_ND, Cost
from analysis.decisions.optimum import loss_at
from analysis.decisions.target import Target, wandering
from analysis.fitting.result import Result
from analysis.intervals.spread import drawn_params

Array = np.ndarray

_LOOKED_AHEAD = 12  # candidates for which the run after is looked at
_LEAST_DRAWS = 30
_TAILS = (0.005, 0.995)  # beyond which a resample is brought in: a few runaways make no plan
_WORTHLESS = 1e-3  # of the variance


@dataclass(frozen=True)
class NextRuns:
    """Runs worth making.

    Attributes
    ----------
    table : DataFrame
        The chosen rows of the candidates, best first, with ``half_width``: of the target's
        interval, relative, expected after this run and those above; and ``spent`` so far.
    now, then : float
        Half width of the target's interval, relative: known, and expected after all of them.
    enough : bool
        Whether that is what the target asks for (False if it asks for nothing).
    """

    table: pd.DataFrame
    now: float
    then: float
    enough: bool


def choose_next(
    result: Result,
    target: Target,
    candidates: pd.DataFrame,
    *,
    budget: float = np.inf,
    most: int | None = None,
    cost: Cost = SIX_ND,
    level: float = 0.95,
) -> NextRuns:
    """Choose from candidates until the target is known well enough or the budget is spent.

    Parameters
    ----------
    result : Result
        A fit with resamples, of a law in N and D.
    target : Target
        See `analysis.read_target`.
    candidates : DataFrame
        ``N, D`` and ``cost``, one row a run that could be made; a row may be chosen once.
    budget : float
        In the unit of the column ``cost``.
    most : int, optional
        Runs at most.
    cost : callable
        For targets at a C.
    level : float

    Raises
    ------
    ValueError
        If a column is missing or not positive, or the fit has too few resamples.
    """
    params = _laws(result, candidates)
    N, D, price = (candidates[name].to_numpy(float) for name in ("N", "D", "cost"))
    with np.errstate(all="ignore"):
        losses = np.log(loss_at(result.law, params, N[None], D[None]))
        losses += wandering(result, N, D, len(params))
        varied = np.column_stack([losses, target.wandered(result, cost)])[1:]
    varied = varied[np.isfinite(varied).all(axis=1)]
    if len(varied) < _LEAST_DRAWS:
        why = result.settings["withheld"] or f"{_LEAST_DRAWS} are needed"
        raise ValueError(f"only {len(varied)} resamples tell of the target: {why}")
    varied = np.clip(varied, *np.quantile(varied, _TAILS, axis=0))
    shared = np.cov(varied.T)
    noise = float(np.mean(result.noise_sample**2))
    now = target.known(result, level, cost)["half_width"]
    first = shared[-1, -1]
    chosen: list[int] = []
    widths: list[float] = []
    left = np.ones(len(price), bool)
    while most is None or len(chosen) < most:
        affordable = left & (price <= budget - price[chosen].sum())
        k = _best(shared, noise, price, affordable)
        if k is None or (widths and target.within is not None and widths[-1] <= target.within):
            break
        shared, left[k] = _after(shared, k, noise), False
        chosen.append(k)
        widths.append(now * float(np.sqrt(max(shared[-1, -1], 0) / first)))
    table = candidates.iloc[chosen].assign(half_width=widths, spent=np.cumsum(price[chosen]))
    then = widths[-1] if widths else now
    return NextRuns(table, now, then, target.within is not None and then <= target.within)


def _laws(result: Result, candidates: pd.DataFrame) -> Array:
    for name in ("N", "D", "cost"):
        if name not in candidates:
            raise ValueError(f"candidates need the column {name!r}")
        values = candidates[name].to_numpy(float)
        if not (np.isfinite(values) & (values > 0)).all():
            raise ValueError(f"candidates: column {name!r} must hold positive numbers")
    if not len(candidates):
        raise ValueError("there are no candidates to choose from")
    return drawn_params(result)


def _after(shared: Array, k: int, noise: float) -> Array:
    """Covariances once run k is measured."""
    return shared - np.outer(shared[:, k], shared[k]) / (shared[k, k] + noise)


def _told(shared: Array, noise: float) -> Array:
    """Logarithm of the target's variance that each run takes away, shape (runs,)."""
    along, own, target = shared[-1, :-1], np.diag(shared)[:-1], max(shared[-1, -1], 1e-300)
    return -np.log1p(-np.clip(along**2 / (own + noise) / target, 0, 1 - 1e-12))


def _best(shared: Array, noise: float, price: Array, affordable: Array) -> int | None:
    """The run that tells most per cost, alone or with the best one after it."""
    told = np.where(affordable, _told(shared, noise), -np.inf)
    if not (told > _WORTHLESS).any():
        return None
    rate = told / price
    tried = [k for k in np.argsort(-rate)[:_LOOKED_AHEAD] if np.isfinite(told[k])]
    ahead = {}
    for k in tried:
        others = affordable & (np.arange(len(price)) != k)
        then = np.where(others, _told(_after(shared, k, noise), noise), -np.inf)
        with np.errstate(invalid="ignore"):
            pairs = (told[k] + then) / (price[k] + price)
        ahead[k] = max(rate[k], pairs.max(initial=-np.inf))
    return max(ahead, key=lambda k: ahead[k])
