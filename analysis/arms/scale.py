"""Ratio, speed-up, equivalent data and crossover of two arms, along a ladder."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from scalinglab.analysis.arms.ladder import Ladder
from scalinglab.analysis.arms.needed import LossesAt, amount_needed
from scalinglab.analysis.fitting.result import Result
from scalinglab.analysis.intervals.rolling import t_draws
from scalinglab.analysis.laws.arms import ArmLaw
from scalinglab.analysis.laws.error_scale import RELATIVE
from scalinglab.analysis.laws.law import Array, Columns, Law
from scalinglab.scaling.errors import UserError

Arms = tuple[str, str]  # the baseline A, and B
Along = Callable[[Array], tuple[Array, Array]]  # N and D at amounts of compute or tokens

_GRID = 400


def check_budgets(budgets: Sequence[float]) -> None:
    """Refuse budgets at which nothing can be compared.

    Raises
    ------
    UserError
        If a budget is not a positive number.
    """
    for cost in budgets:
        if not cost > 0:
            raise UserError(f"budgets: {cost!r} is no number of FLOPs")


def along_ladder(
    result: Result, arms: Arms, ladder: Ladder, budgets: Sequence[float], level: float
) -> pd.DataFrame:
    """Compare two arms at some budgets, with N and D on the line of the ladder.

    Parameters
    ----------
    result : Result
        A fit of both arms.
    arms : (str, str)
        A, the baseline, and B.
    ladder : Ladder
    budgets : list of float
        C = 6 N D, in FLOPs.
    level : float
        Level of the intervals.

    Returns
    -------
    DataFrame
        One row per budget; `analysis.ArmComparison` has its columns (``scales``).

    Raises
    ------
    UserError
        If a budget is not a positive number.
    """
    scales = ratios_along_ladder(result, arms, ladder, budgets, level)
    cost, N, D = (scales[name].to_numpy() for name in ("C", "N", "D"))
    worth = {
        "speed_up": compute_along_ladder(result, arms, ladder, cost) / cost,
        "equivalent_data": equivalent_tokens(result, arms, N, D),
    }
    return pd.concat(
        [scales, *(_columns(name, shares, level) for name, shares in worth.items())], axis=1
    )


def ratios_along_ladder(
    result: Result, arms: Arms, ladder: Ladder, budgets: Sequence[float], level: float
) -> pd.DataFrame:
    """Loss of B over loss of A at some budgets; see `along_ladder`.

    Raises
    ------
    UserError
        If a budget is not a positive number.
    """
    check_budgets(budgets)
    cost = np.array(budgets, float)
    N, D = ladder.at(cost)
    inside = _both_measured(result, ladder, cost)
    places = pd.DataFrame({"C": cost, "N": N, "D": D, "inside": inside})
    ratios, best = ratio_beyond(result, arms, N, D)
    rows = []
    for tries, ratio in zip(ratios.T, best, strict=True):
        is_finite = len(tries) and np.isfinite(tries).all()
        better = float(np.mean(tries < 1)) if is_finite else np.nan
        rows.append(_with_ends("ratio", ratio, tries, level) | {"better": better})
    return pd.concat([places, pd.DataFrame(rows)], axis=1)


def _columns(name: str, values: Array, level: float) -> pd.DataFrame:
    """The best and the ends of the interval of each column of (1 + resamples, n)."""
    return pd.DataFrame([_with_ends(name, x[0], x[1:], level) for x in values.T])


def _with_ends(name: str, best: float, tries: Array, level: float) -> dict[str, float]:
    tail = (1 - level) / 2
    ends = (np.nan, np.nan)
    if len(tries) and not np.isnan(tries).any():
        ends = np.quantile(tries, [tail, 1 - tail], method="nearest")  # some may be infinite
    return {name: float(best), f"{name}_lower": float(ends[0]), f"{name}_upper": float(ends[1])}


def law_of_arm(result: Result, arm: str, params: Array | None = None) -> tuple[Law, Array]:
    """The law of one arm, and its parameters: the best and each resample's, or those given."""
    law = result.law
    assert isinstance(law, ArmLaw)
    params = result.params_and_draws() if params is None else np.atleast_2d(params)
    return law.of_one_arm, params[:, law.place(law.arms.index(arm))]


def _losses(result: Result, arm: str, params: Array, columns: Columns) -> Array:
    """Losses of one arm."""
    law, arm_params = law_of_arm(result, arm, params)
    return law.predict(arm_params, columns)


@dataclass(frozen=True)
class _Ratio:
    """Loss of B over loss of A as a law, which rolling-origin refits can judge."""

    result: Result
    arms: Arms

    def predict(self, params: Array, columns: Columns) -> Array:
        a, b = (_losses(self.result, arm, np.atleast_2d(params), columns) for arm in self.arms)
        return RELATIVE.possible(b) / RELATIVE.possible(a)


def ratio_beyond(result: Result, arms: Arms, N: Array, D: Array) -> tuple[Array, Array]:
    """Loss of B over loss of A: resamples, shape (resamples, n), and the best, shape (n,).

    Beyond the fitted range the law may depart; see `_extrapolation_factors`.
    """
    columns = {"N": np.asarray(N, float), "D": np.asarray(D, float)}
    ratios = _Ratio(result, arms).predict(result.params_and_draws(), columns)
    return ratios[1:] * _extrapolation_factors(result, arms, columns), ratios[0]


def _extrapolation_factors(result: Result, arms: Arms, columns: Columns) -> Array:
    """Random factors of the ratio, (resamples, n), for errors of the law; 1 inside the range.

    Their size is how far refits without the outermost runs depart from the whole fit in this ratio.
    """
    draws = len(result.params_and_draws()) - 1
    n = len(columns["N"])
    if not draws or not len(result.origins):
        return np.ones((draws, n))
    best = np.array([list(result.params.values())])
    doubt = result.origins.extrapolation_std(_Ratio(result, arms), best, columns, result.scale)
    return np.exp(np.outer(t_draws(draws, result.settings["seed"]), doubt))


def compute_along_ladder(result: Result, arms: Arms, ladder: Ladder, cost: Array) -> Array:
    """Compute that A needs for B's loss at each compute, along the ladder: (1 + resamples, n).

    Infinite where A never reaches it.
    """
    return _needed(result, arms, cost, [ladder.at] * len(cost), ladder.at(cost))


def equivalent_tokens(result: Result, arms: Arms, N: Array, D: Array) -> Array:
    """Tokens that A needs at each N for B's loss at (N, D), over D: (1 + resamples, n).

    Infinite where A cannot reach it with any number of tokens.
    """

    def at_size(size: float) -> Along:
        return lambda tokens: (np.full(np.shape(tokens), size), tokens)

    return _needed(result, arms, D, [at_size(float(size)) for size in N], (N, D)) / D


def _needed(
    result: Result,
    arms: Arms,
    start: Array,
    along: Sequence[Along],
    base_places: tuple[Array, Array],
) -> Array:
    """The amounts at which A reaches the losses that B has at places: (1 + resamples, n)."""
    params, places = result.params_and_draws(), dict(zip("ND", base_places, strict=True))
    targets = _losses(result, arms[1], params, places).copy()
    targets[1:] *= _extrapolation_factors(result, arms, places)
    baseline, base_params = law_of_arm(result, arms[0], params)

    def losses_on(line: Along) -> LossesAt:
        return lambda rows, amounts: baseline.predict(
            base_params[rows], dict(zip("ND", line(amounts), strict=True))
        )

    lines = zip(start, along, targets.T, strict=True)
    needed = [amount_needed(losses_on(line), middle, losses) for middle, line, losses in lines]
    return np.stack(needed, axis=1)


def crossing(result: Result, arms: Arms, ladder: Ladder, level: float) -> dict[str, Any]:
    """Where along the ladder the laws of the two arms meet.

    The search runs from a tenth of the smallest to a thousand times the largest compute of both,
    ``searched_low`` to ``searched_top``.
    """
    low, top = measured_ends(result, ladder)
    ends = sorted((ladder.low, ladder.top))
    grid = np.geomspace(ends[0] / 10, ends[1] * 1e3, _GRID)
    if ladder.is_shared:  # no cell reaches over an end
        grid = np.unique([*grid, low, top])
    size, tokens = ladder.at(grid)
    columns = {"N": size, "D": tokens}
    gap = RELATIVE.of(_Ratio(result, arms).predict(result.params_and_draws(), columns))
    gap[1:] += np.log(_extrapolation_factors(result, arms, columns))
    places = np.array([_first_zero(line, np.log(grid)) for line in gap])
    crossings = np.exp(places[1:][np.isfinite(places[1:])])
    tail = (1 - level) / 2
    lower, upper = np.quantile(crossings, [tail, 1 - tail]) if len(crossings) else (np.nan, np.nan)
    best = float(np.exp(places[0]))
    crosses = gap[1:, :-1] * gap[1:, 1:] < 0
    crosses &= np.isfinite(gap[1:]).all(1, keepdims=True)

    def share_of(cells: Array) -> float:
        is_known = len(crosses) and ladder.is_shared
        return float(crosses[:, cells].any(1).mean()) if is_known else np.nan

    return {
        "C": best,
        "lower": float(lower),
        "upper": float(upper),
        "share": float(len(crossings) / len(places[1:])) if len(places) > 1 else np.nan,
        "inside": bool(_both_measured(result, ladder, best)[0]),
        "towards": "B" if gap[0, -1] < 0 else "A",
        "low": low,
        "top": top,
        "searched_low": float(grid[0]),
        "searched_top": float(grid[-1]),
        "below": share_of(grid[1:] <= low),
        "within": share_of((low <= grid[:-1]) & (grid[1:] <= top)),
        "above": share_of(top <= grid[:-1]),
    }


def _both_measured(result: Result, ladder: Ladder, cost: Array | float) -> Array:
    """Whether both arms were measured around each compute on the ladder."""
    cost = np.atleast_1d(cost)
    place = dict(zip("ND", ladder.at(cost), strict=True))
    return result.measured.inside(place) & np.isfinite(cost) & ladder.is_shared


def measured_ends(result: Result, ladder: Ladder) -> tuple[float, float]:
    """The least and the largest compute of the ladder around which both arms were measured.

    The ladder's own ends if there is none; NaN if no compute is in the range of both arms.
    """
    if not ladder.is_shared:
        return np.nan, np.nan
    grid = np.geomspace(ladder.low, ladder.top, _GRID)
    inside = grid[_both_measured(result, ladder, grid)]
    return (float(inside[0]), float(inside[-1])) if len(inside) else (ladder.low, ladder.top)


def _first_zero(line: Array, at: Array) -> float:
    """Where a line first changes its sign; NaN if it does not, or has unknown values."""
    if np.isnan(line).any():
        return np.nan
    change = np.flatnonzero(np.sign(line[:-1]) * np.sign(line[1:]) < 0)
    if not len(change):
        return np.nan
    k = change[0]
    return float(at[k] - line[k] * (at[k + 1] - at[k]) / (line[k + 1] - line[k]))
