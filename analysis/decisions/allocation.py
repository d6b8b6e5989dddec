"""How to split a training budget between model size and tokens under a fitted surface.

This is approach 3 of arXiv:2203.15556; `scalinglab.analysis.decisions.approaches` has all three
side by side.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from scalinglab.analysis.decisions.cost_functions import SIX_ND, Cost, cost_in_words
from scalinglab.analysis.decisions.optimum import best_split, loss_at
from scalinglab.analysis.fitting.result import Result
from scalinglab.analysis.intervals.spread import (
    calibration_in_words,
    log_log_slope,
    missing_draws_in_words,
    values_with_intervals,
)
from scalinglab.analysis.shown import Overview, Shown
from scalinglab.scaling.errors import UserError

if TYPE_CHECKING:
    from matplotlib.axes import Axes

Array = np.ndarray

_MOST_CHOSEN = 3  # budgets of a study that names none
_ROUND = ((1.0,), (1.0, 3.0))  # first digits of these budgets: the first ones that give some
_AROUND = np.exp([-0.1, 0.1])  # multiples of a single budget from which growth is computed


RATIO = "D/N"  # its row among the exponents


class NoBestSplit(UserError):
    """A budget without a best split: its loss falls up to the largest or smallest size tried."""


@dataclass(frozen=True, repr=False)
class Allocation(Shown):
    """The best size and number of tokens for each budget.

    Attributes
    ----------
    table : DataFrame
        One row per budget: ``C, N, D, tokens_per_parameter, loss``, each but C with ``_lower`` and
        ``_upper`` if the fit has resamples, and ``inside``: within the fitted range.
    exponents : DataFrame
        Index N, D and D/N: ``exponent`` (with ``_lower``, ``_upper``) of N* ~ C^a, D* ~ C^b and
        their ratio over the budgets.
    cost : str
        Definition of C, and its unit.
    warnings : tuple of str
    calibration_factor : float
        Factor by which the intervals of the loss are widened; see `analysis.Result.calibrated`.
    """

    table: pd.DataFrame
    exponents: pd.DataFrame
    cost: str
    warnings: tuple[str, ...]
    calibration_factor: float = 1.0

    @property
    def shown(self) -> Overview:
        """As `Shown`: the budgets and the exponents."""
        split = self.table.rename(columns={"tokens_per_parameter": "D/N"})
        names = {f"tokens_per_parameter{end}": f"D/N{end}" for end in ("_lower", "_upper")}
        growth = self.exponents.rename_axis("of").reset_index()
        tables = {"Best splits": split.rename(columns=names), "Growth with C": growth}
        return Overview("How to split a budget", tables, (self.cost,), self.warnings)

    def plot(self, *, ax: Axes | None = None) -> Axes:
        """The best N and D of each budget, with their intervals."""
        return self._draw("allocation", self, ax=ax)


def allocate(
    result: Result,
    budgets: float | Iterable[float],
    *,
    cost: Cost = SIX_ND,
    level: float = 0.95,
) -> Allocation:
    """N and D of least loss for each budget C.

    Intervals come from the fit's resamples: those of N, D and exponents contain the uncertainty of
    the parameters, not that of the law. Those of the loss contain, beyond the fitted range, how far
    the law itself is in doubt: they are those of `Result.band`.

    Parameters
    ----------
    result : Result
        A fit of a law with columns N and D.
    budgets : float or list of float
        In the unit of `cost`: FLOPs by default.
    cost : callable
        ``cost(N, D)``, rising in both and linear in D; see
        `scalinglab.analysis.decisions.cost_functions`.
    level : float
        Level of the intervals.

    Raises
    ------
    UserError
        If the law has no N and D, or a budget is not positive.
    NoBestSplit
        If a budget has no best split.
    """
    need_surface(result)
    budgets = np.atleast_1d(np.asarray(budgets, float))
    if not len(budgets) or not (np.isfinite(budgets) & (budgets > 0)).all():
        raise UserError(f"budgets must be positive, not {budgets.tolist()}")
    params = result.params_and_draws()
    splits = [_split(result, params, budget, cost) for budget in budgets]
    resampled = len(result.draws) > 0
    table = _table(result, params, budgets, splits, level)
    grown = budgets if len(set(budgets)) > 1 else budgets[0] * _AROUND
    along = splits if grown is budgets else [_split(result, params, b, cost) for b in grown]
    N, D = (np.array(drawn) for drawn in zip(*along, strict=True))
    exponents = {
        name: values_with_intervals(
            {"exponent": log_log_slope(grown, drawn)}, level, resampled=resampled
        )
        for name, drawn in {"N": N, "D": D, RATIO: D / N}.items()
    }
    return Allocation(
        table,
        pd.DataFrame.from_dict(exponents, orient="index"),
        cost_in_words(cost),
        tuple(_warnings(result, table, splits, level)),
        result.calibration_factor,
    )


def splits_along(
    result: Result, budgets: Iterable[float], *, cost: Cost = SIX_ND, level: float = 0.95
) -> pd.DataFrame:
    """The best split of those budgets that have one: the table of an `Allocation`, maybe empty.

    For figures, which show the law wherever it says something. Parameters as `allocate`.
    """
    need_surface(result)
    params = result.params_and_draws()
    places = np.asarray(list(budgets), float)
    splits = [best_split(result.law, params, budget, cost) for budget in places]
    return _table(result, params, places, splits, level).dropna(subset=["N"], ignore_index=True)


def budgets_inside(result: Result) -> tuple[float, ...]:
    """Round budgets 6 N D whose best split lies inside the fitted range: the largest three.

    Parameters
    ----------
    result : Result
        A fit of a law with columns N and D.
    """
    need_surface(result)
    low, high = (6 * result.ranges["N"][end] * result.ranges["D"][end] for end in (0, 1))
    decades = 10.0 ** np.arange(np.floor(np.log10(low)), np.ceil(np.log10(high)) + 1)
    for digits in _ROUND:
        budgets = np.multiply.outer(decades, digits).ravel()
        params = np.repeat(result.params_and_draws()[:1], len(budgets), axis=0)
        N, D = best_split(result.law, params, budgets)
        inside = np.isfinite(N) & np.isfinite(D) & result.measured.inside({"N": N, "D": D})
        if inside.any():
            return tuple(budgets[inside][-_MOST_CHOSEN:].tolist())
    return ()


def need_surface(result: Result) -> None:
    """Raise `UserError` unless the law is one of N and D alone."""
    missing = {"N", "D"} - set(result.law.columns)
    if missing or len(result.law.columns) > 2:
        raise UserError(
            f"allocation needs a law in N and D; {result.law.name} has"
            f" {', '.join(result.law.columns)}: fit one, such as chinchilla, to runs that agree in"
            " the rest (exclude=, and columns.N= for what N is)"
        )


def _split(result: Result, params: Array, budget: float, cost: Cost) -> tuple[Array, Array]:
    N, D = best_split(result.law, params, budget, cost)
    if not np.isfinite(N[0]):
        raise NoBestSplit(
            f"budget {budget:.3g} has no best split: the loss falls to the end of the sizes tried"
        )
    return N, D


def _table(
    result: Result, params: Array, budgets: Array, splits: list[tuple[Array, Array]], level: float
) -> pd.DataFrame:
    """See `Allocation`: one row per budget, NaN where it has no best split."""
    rows = [
        _row(result, params, budget, *split, level)
        for budget, split in zip(budgets, splits, strict=True)
    ]
    table = pd.DataFrame(rows, columns=None if rows else ["C", "N", "D", "loss"])
    if len(result.draws) and (found := table["N"].notna()).any():
        # Of the law at the best split, which is in doubt itself where nothing was measured.
        ends = result.band(table.loc[found, ["N", "D"]], level)
        table.loc[found, ["loss_lower", "loss_upper"]] = ends.to_numpy()
    return table


def _row(result: Result, params: Array, budget: float, N: Array, D: Array, level: float) -> dict:
    loss = loss_at(result.law, params, N[:, None], D[:, None])[:, 0]
    values = {"N": N, "D": D, "tokens_per_parameter": D / N, "loss": loss}
    row = {"C": budget, **result.values_with_intervals(values, level)}
    row["inside"] = bool(result.measured.inside({"N": N[:1], "D": D[:1]})[0])
    return row


def _warnings(result: Result, table: pd.DataFrame, splits: list, level: float) -> list[str]:
    sentences = []
    if result.calibration_factor > 1:
        sentences.append(
            f"intervals of the loss are {calibration_in_words(result.calibration_factor)}"
        )
    sentences += _outside(result, table)
    lost = sorted(
        set(result.diagnosis.unidentified) - set(result.law.parameters_with_role("floor"))
    )
    if lost:
        sentences.append(
            f"the split depends on {', '.join(lost)}, which the data do not identify: add runs "
            "that vary N and D"
        )
    drawn = [N[1:] for N, _ in splits if len(N) > 1]
    failed = max((float(np.isnan(N).mean()) for N in drawn), default=0.0)
    without = missing_draws_in_words(failed, level, "have no best split")
    return [*sentences, without] if without else sentences


def _outside(result: Result, table: pd.DataFrame) -> list[str]:
    """One sentence on all budgets outside the fitted range, and by how much the last one is."""
    told = []
    for row in table[~table["inside"]].sort_values("C").to_dict("records"):
        place = {name: np.array([row[name]]) for name in ("N", "D")}
        if where := "; ".join(result.measured.outside(place)):  # without a best split: no place
            told.append((row["C"], where))
    if not told:
        return []
    budgets, (last, where) = ", ".join(f"{cost:.3g}" for cost, _ in told), told[-1]
    if len(told) == 1:
        return [f"C = {budgets} is outside the fitted range: {where}"]
    return [f"C = {budgets} are outside the fitted range, {last:.3g} by most: {where}"]


def growth_in_words(exponents: pd.DataFrame) -> str:
    """How N* and D* grow with the budget, in a sentence."""
    sentences = []
    for name, row in exponents.loc[["N", "D"]].iterrows():
        low, high = row.get("exponent_lower", np.nan), row.get("exponent_upper", np.nan)
        between = "" if np.isnan(low) else f" ({low:.2f} to {high:.2f})"
        sentences.append(f"{name}* grows as C^{row['exponent']:.2f}{between}")
    return ", ".join(sentences).replace("D* grows", "D*")
