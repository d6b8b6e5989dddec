"""How much of the baseline's compute a recipe is worth: the compute multiplier.

    m(C) = C_base(L_cand(C)) / C

L_cand(C) is the loss that the candidate's law gives at C, and C_base(L) the least compute at which
the baseline's law reaches L. Both are at the best splits of their budgets if the runs determine
them (N and D varied, the best D / N within or near the measured ones); otherwise both follow the
ladder's N and D. If L_cand is at or below the floor of the baseline's law, m is infinite. Such
resamples are counted (`censored`) and count as infinite in the quantiles; no mean is taken.

Far beyond the runs the floor of the loss decides, which runs determine least. So each multiplier is
given twice: with a separate floor for each recipe, and with one floor for both. A verdict needs
both to agree, and intervals whose ends are off 1 by more than their error from few resamples: with
other resamples it would be the same.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from scalinglab.analysis.arms.scale import Arms, compute_along_ladder, law_of_arm
from scalinglab.analysis.arms.ways import Way
from scalinglab.analysis.decisions.optimum import best_split, compute_multiplier, loss_at
from scalinglab.analysis.fitting.result import Result
from scalinglab.analysis.intervals.end_errors import log_end_errors
from scalinglab.analysis.intervals.rolling import t_draws
from scalinglab.analysis.intervals.spread import quantiles
from scalinglab.analysis.laws.error_scale import RELATIVE
from scalinglab.analysis.laws.law import Array, Columns, Law

OWN, ONE, NONE = "own", "one", "none"  # floors: of each recipe, of both together, no law has any
BEST, LADDER = "best", "ladder"  # ways along which budgets grow
_SAME = 1e-6  # of a multiplier: what two fits of one law differ by in their last digits
_ERRORS = 1.96  # standard errors of an interval's end, within which its side of 1 is not known
SAVES, COSTS, UNKNOWN = "saves", "costs", "cannot tell"
NARROWLY = "narrowly"  # of a side on which other resamples might not put all intervals


def floors_to_fit(law: Law, shared: Sequence[str]) -> list[tuple[str, tuple[str, ...]]]:
    """The treatments of the floor: name, and the parameters that the arms share."""
    floors = law.parameters_with_role("floor")
    if not floors:
        return [(NONE, tuple(shared))]
    if set(floors) <= set(shared):
        return [(ONE, tuple(shared))]
    together = tuple(n for n in law.names if n in floors or n in shared)
    return [(OWN, tuple(shared)), (ONE, together)]


def multipliers(
    fits: Sequence[tuple[str, Result]],
    arms: Arms,
    runs: pd.DataFrame,
    budgets: Sequence[float],
    level: float,
    *,
    measured: bool = False,
) -> pd.DataFrame:
    """The multiplier at each budget under each fit.

    Parameters
    ----------
    fits : sequence of (str, Result)
        The floor's name and the law of both arms.
    arms : (str, str)
        The baseline and the candidate.
    runs : DataFrame
        ``N, D, _arm`` of the runs that were fitted.
    budgets : sequence of float
        Compute of the candidate, 6 N D.
    level : float
        Level of the intervals.
    measured : bool
        Begin with the least and the largest compute at which both recipes were measured where they
        are compared.

    Returns
    -------
    DataFrame
        One row per budget and fit: ``C``; ``floor``: each recipe its ``own``, ``one`` for both, or
        ``none``; ``split``: at the ``best`` split of each budget, or along the ``ladder``, on which
        N grows as C^``share``; ``N, D`` of the candidate there; ``multiplier`` with ``_lower`` and
        ``_upper``, infinite where the baseline never gets there; ``lower_error`` and
        ``upper_error``, by which the logarithms of these ends are off as the resamples are few
        (`scalinglab.analysis.intervals.end_errors`); ``censored``: the share of the
        resamples in which it is; ``inside``: whether both recipes were measured where they are
        compared.
    """
    way = Way.of(fits, arms, runs, budgets)
    costs = sorted({*way.measured(fits, arms), *budgets}) if measured else budgets
    return multipliers_on_way(fits, arms, way, costs, level)


def multipliers_on_way(
    fits: Sequence[tuple[str, Result]], arms: Arms, way: Way, costs: Sequence[float], level: float
) -> pd.DataFrame:
    """As `multipliers`, along a given path of N and D."""
    rows: list[dict[str, Any]] = []
    for cost in costs:
        for floor, result in fits:
            ratios, places = _found(result, arms, way, cost)
            low, high = quantiles(ratios[1:], level)
            errors = log_end_errors(ratios[1:], level)
            rows.append(
                {
                    "C": cost,
                    "floor": floor,
                    "split": BEST if way.best else LADDER,
                    "share": np.nan if way.best else way.ladder.share,
                    "N": float(places[1]["N"][0]),
                    "D": float(places[1]["D"][0]),
                    "multiplier": float(ratios[0]),
                    "multiplier_lower": float(low),
                    "multiplier_upper": float(high),
                    "lower_error": errors[0],
                    "upper_error": errors[1],
                    "censored": float(np.isinf(ratios[1:]).mean()) if len(ratios) > 1 else np.nan,
                    "inside": way.inside(places),
                }
            )
    return pd.DataFrame(rows)


def verdicts(table: pd.DataFrame) -> pd.DataFrame:
    """The joint verdict of all fits in a table of `multipliers`, one row per budget.

    Returns
    -------
    DataFrame
        ``C``; ``verdict``: the candidate ``saves`` compute or ``costs`` some where every fit's
        interval says so beyond its error, else ``cannot tell``; ``side``: what the intervals say as
        they stand; ``agree``: whether the fits say the same; ``near``: whether other resamples
        could give a verdict, as ends lie at 1 within their error.
    """
    rows = []
    for cost, at_cost in table.groupby("C", sort=False):
        records: list[Any] = at_cost.to_dict("records")
        each = {_verdict(row) for row in records}
        elsewhere = {_verdict(row) for row in records if not _ends_at_one(row)}
        verdict = each.pop() if len(each) == 1 else UNKNOWN
        near = verdict == UNKNOWN and any(map(_ends_at_one, records))
        near = near and len(elsewhere) <= 1 and UNKNOWN not in elsewhere
        sides = {_side(row) for row in records}
        side = sides.pop() if len(sides) == 1 else UNKNOWN
        rows.append({"C": cost, "verdict": verdict, "side": side, "agree": not each, "near": near})
    return pd.DataFrame(rows, columns=["C", "verdict", "side", "agree", "near"])


def in_words(verdict: dict[str, Any]) -> str:
    """A row of `verdicts` in words: intervals that exclude 1 by little are never "cannot tell".

    >>> in_words({"verdict": UNKNOWN, "side": SAVES, "near": True})
    'narrowly saves'
    """
    if verdict["verdict"] == UNKNOWN and verdict["near"] and verdict["side"] != UNKNOWN:
        return f"{NARROWLY} {verdict['side']}"
    return str(verdict["verdict"])


def _verdict(row: dict[str, Any]) -> str:
    return UNKNOWN if _ends_at_one(row) else _side(row)


def _side(row: dict[str, Any]) -> str:
    """On which side of 1 an interval lies whole."""
    if np.log(row["multiplier_lower"]) > _SAME:
        return SAVES
    return COSTS if np.log(row["multiplier_upper"]) < -_SAME else UNKNOWN


def _ends_at_one(row: dict[str, Any]) -> bool:
    """Whether other draws could have put an end of the interval on the other side of 1."""
    return _is_at_one(row, "lower") or _is_at_one(row, "upper")


def _is_at_one(row: dict[str, Any], end: str) -> bool:
    """Whether an end of the interval lies at 1 within its error.

    An end that other draws could have put at infinity does if it is below 1.
    """
    value, error = np.log(row[f"multiplier_{end}"]), row[f"{end}_error"]
    if np.isinf(error):
        return bool(value < 0)
    return bool(abs(value) <= max(_ERRORS * error, _SAME))


def _found(
    result: Result, arms: Arms, way: Way, cost: float
) -> tuple[Array, tuple[Columns, Columns]]:
    """The multipliers of the best fit and each resample; N and D of the baseline and candidate."""
    candidate_place = way.place(result, arms[1], np.array([cost]))
    if not way.best:
        ratios = compute_along_ladder(result, arms, way.ladder, np.array([cost]))[:, 0] / cost
        base_cost = ratios[0] * cost if np.isfinite(ratios[0]) else cost
        return ratios, (way.place(result, arms[0], np.array([base_cost])), candidate_place)
    (base, base_params), (candidate, params) = (law_of_arm(result, arm) for arm in arms)
    N, D = best_split(candidate, params, cost)
    losses = RELATIVE.possible(loss_at(candidate, params, N[:, None], D[:, None])[:, 0])
    best = compute_multiplier(base, base_params[:1], losses[:1], cost)[0]
    base_cost = best * cost if np.isfinite(best) else cost
    base_place = way.place(result, arms[0], np.array([base_cost]))
    if len(losses) > 1:
        doubt = _doubt(result, arms, base_place, candidate_place)
        losses[1:] *= np.exp(t_draws(len(losses) - 1, result.settings["seed"]) * doubt)
    return compute_multiplier(base, base_params, losses, cost), (base_place, candidate_place)


@dataclass(frozen=True)
class _Gap:
    """The candidate's loss over the baseline's, each at its own N and D, as a law."""

    result: Result
    arms: Arms
    places: tuple[Columns, Columns]

    def predict(self, params: Array, columns: Columns) -> Array:
        losses = []
        for arm, place in zip(self.arms, self.places, strict=True):
            law, arm_params = law_of_arm(self.result, arm, params)
            losses.append(RELATIVE.possible(law.predict(arm_params, place)))
        return losses[1] / losses[0]


def _doubt(result: Result, arms: Arms, base: Columns, candidate: Columns) -> float:
    """Standard deviation of the law's error in the log ratio of two losses, beyond the points.

    The farther of the two places counts.
    """
    if not len(result.origins):
        return 0.0
    gap = _Gap(result, arms, (base, candidate))
    best = np.array([list(result.params.values())])
    stds = [
        result.origins.extrapolation_std(gap, best, place, result.scale)[0]
        for place in (base, candidate)
    ]
    return float(np.max(stds))
