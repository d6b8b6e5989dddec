"""The best N and D for a budget, and the least budget for a loss, for many laws at once.

Under 6 N D in closed form where the law has one (`Law.best_size`). For any other law in N and D, or
any other cost, along the curve cost(N, D) = C: on a grid of sizes, then closer around its least
loss.
"""

from __future__ import annotations

import numpy as np

from scalinglab.analysis.decisions.cost_functions import SIX_ND, Cost, per_token
from scalinglab.analysis.laws.law import SPLITS, Law

Array = np.ndarray

_GRID = 48
_CLOSER = np.linspace(-1, 1, 7)  # in units of the spacing before
_SIZES = (1.0, 1e18)  # parameters, within which the ends of the grid are looked for
_TOKENS = (1.0, 1e25)


def loss_at(law: Law, params: Array, N: Array, D: Array) -> Array:
    """The law for parameters (b, p) at N and D of shape (b, k)."""
    return law.predict(params, {"N": N, "D": D})


def best_split(
    law: Law, params: Array, budget: float | Array, cost: Cost = SIX_ND
) -> tuple[Array, Array]:
    """N and D of least loss for each parameter vector at its budget, shapes (b,).

    NaN where the loss falls to the end of the sizes tried.
    """
    budget = np.broadcast_to(np.asarray(budget, float), len(params))
    if law.best_size is not None and cost is SIX_ND:
        return _closed_form(law, params, budget)
    N, D, interior = _searched(law, params, budget, cost)
    return np.where(interior, N, np.nan), np.where(interior, D, np.nan)


def least_budget(law: Law, params: Array, loss: float | Array, cost: Cost = SIX_ND) -> Array:
    """The least budget that reaches a loss, for each parameter vector; NaN where none does."""
    ends = np.log(cost(np.array([10.0, 1e16]), np.array([1.0, 1e18])))
    low, high = (np.full(len(params), end) for end in ends)
    reached = _least_loss(law, params, np.exp(high), cost) <= loss
    for _ in range(30):
        middle = (low + high) / 2
        enough = _least_loss(law, params, np.exp(middle), cost) <= loss
        low, high = np.where(enough, low, middle), np.where(enough, middle, high)
    return np.where(reached, np.exp(high), np.nan)


def compute_multiplier(
    law: Law, params: Array, loss: Array, spent: float | Array, cost: Cost = SIX_ND
) -> Array:
    """The least compute at which a law reaches a loss, over the compute that another recipe spent.

    Parameters
    ----------
    law : Law
        In N and D.
    params : array, shape (b, parameters)
    loss : array, shape (b,)
        The loss that the other recipe reached.
    spent : float or array, shape (b,)
        In the unit of `cost`.

    Returns
    -------
    array, shape (b,)
        Infinite where no compute is enough; NaN where the loss, or the law's best split, is not
        known.
    """
    is_known = np.isfinite(loss) & np.isfinite(best_split(law, params, spent, cost)[0])
    enough = least_budget(law, params, np.where(is_known, loss, np.inf), cost)
    return np.where(is_known, np.where(np.isnan(enough), np.inf, enough), np.nan) / spent


def tokens_for_loss(law: Law, params: Array, N: float, loss: float) -> Array:
    """Tokens on which N parameters reach a loss, shape (b,); inf where none suffice."""
    low, high = (np.full(len(params), np.log(end)) for end in _TOKENS)
    sizes = np.full((len(params), 1), N)
    reached = loss_at(law, params, sizes, np.exp(high)[:, None])[:, 0] <= loss
    for _ in range(60):
        middle = (low + high) / 2
        enough = loss_at(law, params, sizes, np.exp(middle)[:, None])[:, 0] <= loss
        low, high = np.where(enough, low, middle), np.where(enough, middle, high)
    return np.where(reached, np.exp(high), np.inf)


def tokens_for_budget(cost: Cost, N: Array, budget: Array) -> Array:
    """D with cost(N, D) = budget; NaN where the model alone costs more."""
    fixed_cost, token_cost = per_token(cost, N)
    return np.where(budget > fixed_cost, (budget - fixed_cost) / token_cost, np.nan)


def _closed_form(law: Law, params: Array, budget: Array) -> tuple[Array, Array]:
    """N* by the law's own formula, and D* = C / 6 N*."""
    assert law.best_size is not None
    with np.errstate(all="ignore"):  # a resample without one of its terms has no best split
        N = law.best_size(budget, **dict(zip(law.names, params.T, strict=True)))
    N = np.where(np.isfinite(N) & (N > 0), N, np.nan)
    return N, budget / (6 * N)


def _least_loss(law: Law, params: Array, budget: Array, cost: Cost) -> Array:
    if law.best_size is not None and cost is SIX_ND:
        N, D = _closed_form(law, params, budget)
    else:
        N, D, _ = _searched(law, params, budget, cost)
    with np.errstate(all="ignore"):
        return loss_at(law, params, N[:, None], D[:, None])[:, 0]


def _searched(law: Law, params: Array, budget: Array, cost: Cost) -> tuple[Array, Array, Array]:
    """N, D and whether they lie inside the sizes tried, each (b,)."""
    different, which = np.unique(budget, return_inverse=True)  # one, often: costed once for all
    low, high = _sizes_at(cost, different)
    log_N = low + np.linspace(0, 1, _GRID) * (high - low)
    N, D = _paid(cost, log_N, different)
    least = np.argmin(_losses(law, params, N[which], D[which]), axis=1)
    interior = (least > 0) & (least < _GRID - 1)
    rows = np.arange(len(params))
    log_N, spacing = log_N[which], ((high - low) / (_GRID - 1))[which]
    for _ in range(3):
        log_N = log_N[rows, least][:, None] + spacing * _CLOSER
        spacing = spacing * (_CLOSER[1] - _CLOSER[0])
        loss = _losses(law, params, *_paid(cost, log_N, budget))
        least = np.clip(np.argmin(loss, axis=1), 1, len(_CLOSER) - 2)
    before, at, after = (loss[rows, least + k] for k in (-1, 0, 1))
    with np.errstate(all="ignore"):
        bend = before - 2 * at + after
        shift = np.where(bend > 0, 0.5 * (before - after) / np.where(bend > 0, bend, 1), 0)
    N = np.exp(log_N[rows, least] + np.clip(shift, -1, 1) * spacing[:, 0])
    D = tokens_for_budget(cost, N, budget)
    return N, D, interior & np.isfinite(D)


def _paid(cost: Cost, log_N: Array, budget: Array) -> tuple[Array, Array]:
    """N, and the D that the budget of a row allows; NaN where it allows no token."""
    N = np.exp(log_N)
    return N, tokens_for_budget(cost, N, budget[:, None])


def _losses(law: Law, params: Array, N: Array, D: Array) -> Array:
    """Losses; inf where no token is affordable."""
    with np.errstate(all="ignore"):
        loss = loss_at(law, params, N, np.where(D > 0, D, 1.0))
    return np.where((D > 0) & np.isfinite(loss), loss, np.inf)


def _sizes_at(cost: Cost, budget: Array) -> Array:
    """log N of the models that each budget trains on the most and the fewest tokens a parameter.

    Shape (2, budgets, 1), smallest models first.
    """
    ratios = np.array(SPLITS[::-1])[:, None]
    low, high = (np.full((2, len(budget)), np.log(end)) for end in _SIZES)
    for _ in range(50):
        middle = (low + high) / 2
        N = np.exp(middle)
        over = cost(N, ratios * N) > budget
        low, high = np.where(over, low, middle), np.where(over, middle, high)
    return ((low + high) / 2)[..., None]
