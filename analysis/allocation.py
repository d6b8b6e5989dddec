"""How to split a training budget between model size and tokens under a fitted surface."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

import numpy as np
import pandas as pd

from analysis.result import Result

Array = np.ndarray
Cost = Callable[[Array, Array], Array]

_RATIOS = (1e-3, 1e7)  # tokens per parameter that are looked at
_GRID = 800


@dataclass(frozen=True)
class Allocation:
    """The best size and number of tokens for each budget.

    Attributes
    ----------
    table : DataFrame
        One row a budget: ``C, N, D, tokens_per_parameter, loss``, each but C with ``_lower`` and
        ``_upper`` if the fit has resamples, and ``inside``: within the measured range.
    warnings : tuple of str
    """

    table: pd.DataFrame
    warnings: tuple[str, ...]


def six_nd(N: Array, D: Array) -> Array:
    """Training FLOPs as 6 N D (arXiv:2001.08361)."""
    return 6 * N * D


def allocate(
    result: Result,
    budgets: float | Iterable[float],
    *,
    cost: Cost = six_nd,
    level: float = 0.95,
) -> Allocation:
    """N and D of least loss for each budget C.

    For the Chinchilla surface and 6ND by the closed form of arXiv:2203.15556, section 3.3; for any
    other law in N and D, or cost, numerically. Intervals come from the fit's resamples: they
    carry the doubt about the parameters, not about the law.

    Parameters
    ----------
    result : Result
        A fit of a law with columns N and D.
    budgets : float or list of float
        In the unit of `cost`: FLOPs.
    cost : callable
        ``cost(N, D)``, rising in both.
    level : float
        Of the intervals.

    Raises
    ------
    ValueError
        If the law has no N and D, a budget is not positive, or a budget has no best split.
    """
    missing = {"N", "D"} - set(result.law.columns)
    if missing or len(result.law.columns) > 2:
        raise ValueError(
            f"allocation needs a law in N and D; {result.law.name} has"
            f" {', '.join(result.law.columns)}"
        )
    budgets = np.atleast_1d(np.asarray(budgets, float))
    if not (np.isfinite(budgets) & (budgets > 0)).all():
        raise ValueError(f"budgets must be positive, not {budgets.tolist()}")
    best = np.array([list(result.params.values())])
    params = np.concatenate([best, result.draws.dropna().to_numpy()])
    rows = [_row(result, budget, params, cost, level) for budget in budgets]
    table = pd.DataFrame(rows)
    return Allocation(table, tuple(_warnings(result, table)))


def _row(result: Result, budget: float, params: Array, cost: Cost, level: float) -> dict:
    if result.law.name == "chinchilla" and cost is six_nd:
        N, D = _closed_form(result.law.names, params, budget)
    else:
        N, D = _numerical(result, params, budget, cost)
    if not np.isfinite(N[0]):
        raise ValueError(
            f"budget {budget:.3g} has no best split: the loss falls to the end of the sizes tried"
        )
    loss = np.array(
        [result.law.predict(p[None], {"N": n[None], "D": d[None]})[0, 0]
         for p, n, d in zip(params, N, D, strict=True)]
    )  # fmt: skip
    row: dict = {"C": budget}
    for name, value in {"N": N, "D": D, "tokens_per_parameter": D / N, "loss": loss}.items():
        row[name] = float(value[0])
        if len(result.draws):
            tails = ((1 - level) / 2, (1 + level) / 2)
            ends = np.nanquantile(value[1:], tails) if len(params) > 1 else (np.nan, np.nan)
            row[f"{name}_lower"], row[f"{name}_upper"] = map(float, ends)
    row["inside"] = all(a <= row[c] <= b for c, (a, b) in result.ranges.items())
    return row


def _closed_form(names: tuple[str, ...], params: Array, budget: float) -> tuple[Array, Array]:
    """N* = G (C/6)^(beta/(alpha+beta)), G = (alpha A / (beta B))^(1/(alpha+beta)); D* = C / 6N*."""
    p = dict(zip(names, params.T, strict=True))
    with np.errstate(all="ignore"):  # a resample without one of its terms has no best split
        both = p["alpha"] + p["beta"]
        log_G = np.log(p["alpha"] * p["A"] / (p["beta"] * p["B"])) / both
        N = np.exp(log_G + p["beta"] / both * np.log(budget / 6))
    N = np.where(np.isfinite(N) & (N > 0), N, np.nan)
    return N, budget / (6 * N)


def _numerical(
    result: Result, params: Array, budget: float, cost: Cost
) -> tuple[Array, Array]:
    """The least loss along the curve cost(N, D) = C, between points of a grid by a parabola."""
    low, high = (np.sqrt(budget / 6 / ratio) for ratio in reversed(_RATIOS))
    log_N = np.linspace(np.log(low), np.log(high), _GRID)
    log_D = _tokens(cost, np.exp(log_N), budget)
    on_curve = np.isfinite(log_D)
    log_N, log_D = log_N[on_curve], log_D[on_curve]
    loss = result.law.predict(params, {"N": np.exp(log_N), "D": np.exp(log_D)})
    least = np.argmin(loss, axis=1)
    interior = (least > 0) & (least < len(log_N) - 1)
    middle = np.clip(least, 1, len(log_N) - 2)
    rows = np.arange(len(params))
    before, at, after = (loss[rows, middle + k] for k in (-1, 0, 1))
    bend = before - 2 * at + after
    shift = np.where(bend > 0, 0.5 * (before - after) / np.where(bend > 0, bend, 1), 0)
    position = middle + np.clip(shift, -1, 1)
    index = np.arange(len(log_N))
    N = np.exp(np.interp(position, index, log_N))
    D = np.exp(np.interp(position, index, log_D))
    return np.where(interior, N, np.nan), np.where(interior, D, np.nan)


def _tokens(cost: Cost, N: Array, budget: float) -> Array:
    """log D with cost(N, D) = C for each N, by bisection; NaN where no tokens are affordable."""
    low, high = np.full(len(N), np.log(1.0)), np.full(len(N), np.log(1e20))
    affordable = cost(N, np.exp(low)) < budget
    for _ in range(60):
        middle = (low + high) / 2
        over = cost(N, np.exp(middle)) > budget
        low, high = np.where(over, low, middle), np.where(over, middle, high)
    return np.where(affordable, (low + high) / 2, np.nan)


def _warnings(result: Result, table: pd.DataFrame) -> list[str]:
    sentences = []
    for row in table[~table["inside"]].to_dict("records"):
        for name, (low, high) in result.ranges.items():
            times = max(row[name] / high, low / row[name])
            if times > 1:
                sentences.append(
                    f"C = {row['C']:.3g}: {name} = {row[name]:.3g} is {times:.2g}x outside the"
                    f" measured range {low:.3g} .. {high:.3g}"
                )
    lost = sorted(set(result.diagnosis.unidentified) - {"E"})
    if lost:
        sentences.append(f"the split rests on {', '.join(lost)}, which the points do not identify")
    return sentences
