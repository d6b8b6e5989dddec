"""The shares of pools with the least loss, under caps, from one mixing law per validation set.

A cap comes from the size of a pool: at most `epochs` times its tokens can be drawn (Olmix, arXiv
2602.12237, fits one law per target and caps the repetition). The loss of a mixing law is convex in
the shares, and so is a mean of such losses: a local minimum is the global one.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from scalinglab.analysis.fitting.result import Result
from scalinglab.analysis.intervals.spread import values_with_intervals
from scalinglab.analysis.laws.mixing import SHARE, WORTH
from scalinglab.scaling.errors import UserError

Array = np.ndarray
_MOST_DRAWS = 200  # resamples whose best shares give the intervals


@dataclass(frozen=True)
class BestMixture:
    """Shares of least loss.

    Attributes
    ----------
    shares : DataFrame
        One row per pool: ``pool, share`` with its interval, ``cap``.
    losses : DataFrame
        One row per validation set: ``target, weight, loss`` there, with its interval.
    loss : float
        Their mean by weights.
    """

    shares: pd.DataFrame
    losses: pd.DataFrame
    loss: float


def caps_of(unique_tokens: Mapping[str, float], epochs: float, tokens: float) -> dict[str, float]:
    """The largest share of each pool that repeats its tokens no more often than `epochs`.

    Raises
    ------
    UserError
        If all pools together have too few tokens.
    """
    caps = {pool: min(1.0, epochs * unique / tokens) for pool, unique in unique_tokens.items()}
    if sum(caps.values()) < 1:
        raise UserError(
            f"{tokens:,.0f} tokens are more than {epochs:g} epochs of all pools together"
            f" ({epochs * sum(unique_tokens.values()):,.0f}): allow more epochs, or fewer tokens"
        )
    return caps


def best_mixture(
    laws: Mapping[str, Result],
    *,
    N: float | None = None,
    D: float | None = None,
    weights: Mapping[str, float] | None = None,
    caps: Mapping[str, float] | None = None,
    level: float = 0.95,
) -> BestMixture:
    """The shares of least mean loss.

    Parameters
    ----------
    laws : mapping of str to Result
        Validation set -> a fitted `mixing_law`, all of the same pools.
    N, D : float
        Size and tokens of the run; laws of one size and length need none.
    weights : mapping, optional
        Of each validation set in the mean; default: equal ones.
    caps : mapping, optional
        Pool -> the largest share that it may have (`caps_of`).
    level : float
        Of the intervals, over the resamples of the fits.

    Raises
    ------
    UserError
        If a law lacks N or D, names of weights or caps are unknown, or the caps leave no mixture.
    """
    pools = sorted(_pools(next(iter(laws.values()))))
    for target, law in laws.items():
        if sorted(_pools(law)) != pools:
            raise UserError(f"the law of {target!r} is of other pools than {', '.join(pools)}")
    most = _given("caps", caps, pools, 1.0)
    if sum(most) < 1:
        raise UserError(f"caps sum to {sum(most):.3g}: the shares of the pools sum to 1")
    weight = weights_of(weights, list(laws))
    terms = {target: _terms(law, pools, N, D) for target, law in laws.items()}
    count = min(_MOST_DRAWS + 1, *(len(floor) for floor, *_ in terms.values()))
    best_shares = np.array(
        [_minimum([_row(t, i) for t in terms.values()], weight, most) for i in range(count)]
    )
    drawn = count > 1
    rows = [
        {
            "pool": pool,
            **values_with_intervals({"share": best_shares[:, j]}, level, resampled=drawn),
            "cap": most[j],
        }
        for j, pool in enumerate(pools)
    ]
    best_place = pd.DataFrame(
        [{"N": N, "D": D} | {f"{SHARE}{p}": s for p, s in zip(pools, best_shares[0], strict=True)}]
    )
    losses = [
        {
            "target": target,
            "weight": w,
            **law.predict(best_place, level if drawn else None).iloc[0].to_dict(),
        }
        for (target, law), w in zip(laws.items(), weight, strict=True)
    ]
    columns = ["target", "weight", "loss", *(["lower", "upper"] if drawn else [])]
    table = pd.DataFrame(losses)[columns]
    return BestMixture(pd.DataFrame(rows), table, float((table["loss"] * weight).sum()))


def weights_of(weights: Mapping[str, float] | None, targets: Sequence[str]) -> Array:
    """Weight of each validation set in the mean; they sum to 1, and are equal if none are given.

    Raises
    ------
    UserError
        If a name is unknown, a weight is negative, or none is above 0.
    """
    values = _given("weights", weights, targets, 1.0 if weights is None else 0.0)
    if not (np.isfinite(values).all() and (values >= 0).all() and values.sum() > 0):
        raise UserError(
            f"weights = {dict(weights or {})}: each must be 0 or more, and one of them above 0"
        )
    shares: Array = values / values.sum()
    return shares


def _pools(law: Result) -> list[str]:
    return [name.removeprefix(SHARE) for name in law.law.inputs if name.startswith(SHARE)]


def _given(
    key: str, values: Mapping[str, float] | None, names: Sequence[str], default: float
) -> Array:
    unknown = sorted(set(values or {}) - set(names))
    if unknown:
        raise UserError(f"{key} has {unknown[0]!r}; there are {', '.join(names)}")
    return np.array([(values or {}).get(name, default) for name in names], float)


def _terms(
    law: Result, pools: Sequence[str], N: float | None, D: float | None
) -> tuple[Array, ...]:
    """Floor, reducible loss at worth 1, exponent and worths; one row per draw, the best first."""
    table = law.params_and_draws()
    by_name = dict(zip(law.law.names, table.T, strict=True))
    reducible = by_name["A"]
    if "alpha" in by_name:
        if N is None or D is None:
            raise UserError("the laws are of several sizes and lengths: N and D are needed")
        reducible = by_name["A"] * N ** -by_name["alpha"] + by_name["B"] * D ** -by_name["beta"]
    worths = [by_name.get(f"{WORTH}{pool}", np.ones(len(table))) for pool in pools]
    return by_name["E"], reducible, by_name["gamma"], np.stack(worths, axis=1)


def _row(terms: tuple[Array, ...], draw: int) -> tuple[Array, ...]:
    return tuple(term[draw] for term in terms)


def _minimum(terms: Sequence[tuple[Array, ...]], weight: Array, most: Array) -> Array:
    """Shares of least mean loss, between 0 and their caps."""

    def loss(shares: Array) -> tuple[float, Array]:
        total, slope = 0.0, np.zeros(len(shares))
        for w, (floor, reducible, gamma, worths) in zip(weight, terms, strict=True):
            worth = max(float(worths @ shares), 1e-12)
            part = reducible * worth**-gamma
            total += w * (floor + part)
            slope -= w * gamma * part / worth * worths
        return total, slope

    # Imported here: each plan imports this file, and most have no mixture.
    from scipy.optimize import minimize

    begin = most / most.sum()
    objective: Any = loss  # stubs know no function that gives its slope, too
    sums_to_one: Any = {"type": "eq", "fun": lambda s: s.sum() - 1, "jac": np.ones_like}
    result = minimize(
        objective,
        begin,
        jac=True,
        method="SLSQP",
        bounds=[(0.0, cap) for cap in most],
        constraints=sums_to_one,
        options={"ftol": 1e-12, "maxiter": 500},
    )
    shares: Array = np.clip(result.x, 0, most)
    return shares / shares.sum()
