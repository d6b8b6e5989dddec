"""The next runs that are most informative about a target for their cost.

The fit's resamples are possible laws. Beyond the fitted range each departs further, as
rolling-origin refits do: a random walk, so that a run just beyond the range says little about a
target far off. Over these laws the loss of a run and the target vary together. A run is informative
if its loss is correlated with the target by more than its noise hides; measuring it leaves the
variance

    Var(t | y) = Var(t) - Cov(t, y)^2 / (Var(y) + noise^2)

For a linear law this is the design criterion by its Jacobian (c-optimality; Chaloner and Verdinelli
1995), but it needs no derivative. Runs are chosen one after the other, each by the logarithm of the
target's variance that it removes per unit of cost, alone or with the best run after it: some runs
pay only together with another. If the target names a tolerance, runs that are not needed to meet it
are removed again, the most expensive first.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from scalinglab.analysis.decisions.cost_functions import SIX_ND, Cost
from scalinglab.analysis.decisions.optimum import loss_at
from scalinglab.analysis.decisions.target import Target
from scalinglab.analysis.fitting.result import Result
from scalinglab.analysis.intervals.rolling import extrapolation_cov
from scalinglab.analysis.shown import Overview, Shown
from scalinglab.scaling.errors import UserError

Array = np.ndarray

_LOOKED_AHEAD = 12  # best candidates, for each of which the best second run is tried
_LEAST_DRAWS = 30
_TAILS = (0.005, 0.995)  # quantiles at which resamples are clipped: a few must not decide
_ALMOST = 1.1  # times the least variance, where no runs meet the tolerance: runs that gain less go
_MAD = 1.4826  # times the median size of Gaussian errors is their standard deviation
_WORTHLESS = 1e-3  # share of the variance: runs that remove less are not chosen


@dataclass(frozen=True, repr=False)
class NextRuns(Shown):
    """The chosen next runs, and the expected precision of the target.

    Attributes
    ----------
    table : DataFrame
        The chosen candidates, best first, with ``half_width``, the relative half-width of the
        target's interval that is expected after this run and those above, and ``spent`` so far.
    now, then : float
        Relative half-width of the target's interval now, and as expected after all these runs.
    enough : bool
        Whether `then` is within the target's tolerance (False if it has none).
    calibration_factor : float
        Factor by which the record of forecasts widened both.
    tolerance : float or None
        The half-width that the target allows; see `Target.tolerance`.
    """

    table: pd.DataFrame
    now: float
    then: float
    enough: bool
    calibration_factor: float = 1.0
    tolerance: float | None = None

    @property
    def shown(self) -> Overview:
        """As `Shown`: the chosen runs, and what they are expected to do to the interval."""
        title = f"{len(self.table)} next run{'' if len(self.table) == 1 else 's'}: the target's"
        title += f" interval is ±{self.now:.2%} now, and expected to be ±{self.then:.2%} after them"
        sentences = () if self.tolerance is None else (f"Allowed: ±{self.tolerance:.2%}.",)
        return Overview(title, {"": self.table}, sentences)


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
        ``N, D`` and ``cost``, one row per run that could be made; a row may be chosen once.
    budget : float
        In the unit of the column ``cost``.
    most : int, optional
        Runs at most.
    cost : callable
        For targets at a C.
    level : float

    Raises
    ------
    UserError
        If a column is missing or not positive, or the fit has too few resamples.
    """
    shared = _shared(result, target, candidates, cost)
    price = candidates["cost"].to_numpy(float)
    noise = _noise(result)
    now = target.estimate(result, level, cost)["half_width"]
    if not np.isfinite(now):
        raise UserError(
            f"{target.in_words} has no interval under this fit: there is nothing to choose by"
        )
    tolerance = target.tolerance(result, cost)
    goal = 0.0 if tolerance is None else shared[-1, -1] * (tolerance / now) ** 2
    most_runs = most if tolerance is None else None  # runs that may reach the goal only together
    chosen = _greedy(shared, noise, price, budget, goal, most_runs)
    if goal and chosen:
        reached = _variances_after(shared, noise, chosen)[-1]
        aim = goal if reached <= goal else _ALMOST * reached
        chosen = _needed(shared, noise, price, chosen, aim)
    widths = [
        now * float(np.sqrt(v / shared[-1, -1])) for v in _variances_after(shared, noise, chosen)
    ]
    chosen, widths = chosen[:most], widths[:most]
    table = candidates.iloc[chosen].assign(half_width=widths, spent=np.cumsum(price[chosen]))
    then = widths[-1] if widths else now
    enough = tolerance is not None and then <= tolerance
    return NextRuns(table, now, then, enough, target.calibration_factor(result), tolerance)


def _shared(result: Result, target: Target, candidates: pd.DataFrame, cost: Cost) -> Array:
    """Covariances of the candidates' log losses and, last, of the target's logarithm."""
    params = _laws(result, candidates)
    N, D = (candidates[name].to_numpy(float) for name in ("N", "D"))
    with np.errstate(all="ignore"):
        losses = np.log(loss_at(result.law, params, N[None], D[None]))
        varied = np.column_stack([losses, np.log(np.abs(target.draws(result, cost)))])[1:]
    varied = varied[np.isfinite(varied).all(axis=1)]
    if len(varied) < _LEAST_DRAWS:
        reason = result.settings["withheld"] or f"{_LEAST_DRAWS} are needed"
        raise UserError(f"only {len(varied)} resamples tell of the target: {reason}")
    shared = np.cov(np.clip(varied, *np.quantile(varied, _TAILS, axis=0)).T)
    N, D = (np.append(x, at) for x, at in zip((N, D), target.place(result, cost), strict=True))
    best = np.array([list(result.params.values())])
    extrapolation = extrapolation_cov(
        result.origins, result.law, best, {"N": N, "D": D}, result.scale
    )
    shared[: len(N), : len(N)] += extrapolation
    return shared


def _noise(result: Result) -> float:
    """Variance of a run's error, estimated robustly if the fit is robust.

    Runs far smaller than the others often have much larger errors; a mean square of these would
    make every other run uninformative.
    """
    errors = result.noise_sample
    if result.settings["objective"] == "least_squares":
        return float(np.mean(errors**2))
    return float((_MAD * np.median(np.abs(errors))) ** 2)


def _greedy(
    shared: Array, noise: float, price: Array, budget: float, goal: float, most: int | None
) -> list[int]:
    """Runs one after the other, until the target's variance is at the goal."""
    chosen: list[int] = []
    left = np.ones(len(price), bool)
    while (most is None or len(chosen) < most) and shared[-1, -1] > goal:
        k = _best(shared, noise, price, left & (price <= budget - price[chosen].sum()))
        if k is None:
            break
        shared, left[k] = _after(shared, k, noise), False
        chosen.append(k)
    return chosen


def _needed(shared: Array, noise: float, price: Array, chosen: list[int], goal: float) -> list[int]:
    """The runs that are needed to meet the goal: others are removed, the most expensive first.

    An early choice may be made redundant by later ones.
    """
    for k in sorted(chosen, key=lambda k: -price[k]):
        remaining = [j for j in chosen if j != k]
        if remaining and _variances_after(shared, noise, remaining)[-1] <= goal:
            chosen = remaining
    return chosen


def _variances_after(shared: Array, noise: float, chosen: list[int]) -> list[float]:
    """The target's variance after each of the chosen runs, in their order."""
    left = []
    for k in chosen:
        shared = _after(shared, k, noise)
        left.append(float(max(shared[-1, -1], 0)))
    return left


def _laws(result: Result, candidates: pd.DataFrame) -> Array:
    for name in ("N", "D", "cost"):
        if name not in candidates:
            raise UserError(f"candidates need the column {name!r}")
        values = candidates[name].to_numpy(float)
        if not (np.isfinite(values) & (values > 0)).all():
            raise UserError(f"candidates: column {name!r} must hold positive numbers")
    if not len(candidates):
        raise UserError("there are no candidates to choose from")
    return result.params_and_draws()


def _after(shared: Array, k: int, noise: float) -> Array:
    """Covariances once run k is measured."""
    return shared - np.outer(shared[:, k], shared[k]) / (shared[k, k] + noise)


def _removed_variance(shared: Array, noise: float) -> Array:
    """Logarithm of the target's variance that each run takes away, shape (runs,)."""
    along, target = shared[-1, :-1], max(shared[-1, -1], 1e-300)
    variance = np.maximum(np.diag(shared)[:-1] + noise, 1e-300)  # zero where exact runs are known
    return -np.log1p(-np.clip(along**2 / variance / target, 0, 1 - 1e-12))


def _best(shared: Array, noise: float, price: Array, affordable: Array) -> int | None:
    """The most informative run per cost, alone or with a second one; None if none helps."""
    information = np.where(affordable, _removed_variance(shared, noise), -np.inf)
    if not (information > _WORTHLESS).any():
        return None
    rate = information / price
    tried = [k for k in np.argsort(-rate)[:_LOOKED_AHEAD] if np.isfinite(information[k])]
    ahead = {}
    for k in tried:
        is_candidate = affordable & (np.arange(len(price)) != k)
        then = np.where(is_candidate, _removed_variance(_after(shared, k, noise), noise), -np.inf)
        with np.errstate(invalid="ignore"):
            pairs = (information[k] + then) / (price[k] + price)
        ahead[k] = max(rate[k], pairs.max(initial=-np.inf))
    return max(ahead, key=lambda k: ahead[k])
