"""Reach a target's precision: choose runs, measure them, fit again, until it is reached.

The caller decides how a run is measured: the command line trains it, a test looks it up.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from scalinglab.analysis.decisions.cost_functions import SIX_ND, Cost
from scalinglab.analysis.decisions.next_runs import choose_next
from scalinglab.analysis.decisions.target import Target
from scalinglab.analysis.default_laws import LAW
from scalinglab.analysis.fitting.fit import fit
from scalinglab.analysis.fitting.law_choice import times_beyond
from scalinglab.analysis.fitting.result import Result
from scalinglab.analysis.shown import Overview, Shown
from scalinglab.scaling.errors import UserError

Choose = Callable[[Result, pd.DataFrame, float], pd.DataFrame]


@dataclass(frozen=True, repr=False)
class ReachResult(Shown):
    """The history of reaching a target.

    Attributes
    ----------
    history : DataFrame
        One row per fit: ``runs, spent, value, lower, upper, half_width, tolerance``; see
        `Target.tolerance`.
    result : Result
        The last fit.
    why : str
        "reached", or why it ended before.
    """

    history: pd.DataFrame
    result: Result
    why: str

    @property
    def reached(self) -> bool:
        """Whether the target is known within its tolerance."""
        return self.why == "reached"

    @property
    def shown(self) -> Overview:
        """As `Shown`: a row a fit, then the last one."""
        last = self.result.shown
        title = f"Target after {len(self.history)} fits: {self.why}"
        return Overview(title, {"Fits": self.history} | last.tables, last.sentences, last.warnings)


def reach_target(
    runs: pd.DataFrame,
    candidates: pd.DataFrame,
    measure: Callable[[pd.DataFrame], pd.DataFrame],
    target: Target,
    *,
    law: str = LAW,
    budget: float = np.inf,
    each: int = 4,
    choose: Choose | None = None,
    cost: Cost = SIX_ND,
    level: float = 0.95,
    calibration_factor: float = 1.0,
    tell: Callable[[dict[str, Any]], None] = lambda row: None,
    warn: Callable[[Sequence[str]], None] = lambda sentences: None,
    **options: Any,
) -> ReachResult:
    """Alternate choosing, measuring and fitting until the target is reached or the budget ends.

    It also ends if a fit has too few independent runs for intervals, without which no run can be
    chosen.

    Parameters
    ----------
    runs : DataFrame
        ``N, D, loss`` of the measured runs.
    candidates : DataFrame
        ``N, D, cost`` of the runs that could be made.
    measure : callable
        From some rows of the candidates to the table of all measured runs, `runs` included.
    target : Target
        With ``within``.
    law, options
        Of the fit; see `analysis.fit`.
    budget : float
        In the unit of the column ``cost``.
    each : int
        Runs of one round.
    choose : callable, optional
        ``choose(result, left, budget)``: the rows to make next. Default: `analysis.choose_next`.
    cost : callable
        Of N and D, in which compute is counted; as in `analysis.allocate`.
    level : float
        Of the interval of the target.
    calibration_factor : float
        Factor by which intervals of losses are widened; see `analysis.Result.calibrated`.
    tell : callable
        Called with each new row of the history.
    warn : callable
        Called after it with the warnings of the fit.

    Raises
    ------
    UserError
        If the target has no tolerance; otherwise as `analysis.fit` and `analysis.choose_next`.
    """
    if target.within is None:
        raise UserError("the target says not how well: end it with 'within 0.5%'")
    by_worth = choose is None
    choose = choose or _by_worth(target, each, cost, level)
    history: list[dict[str, Any]] = []
    spent, left = 0.0, candidates
    while True:
        beyond = times_beyond(runs, target.compute)
        result = fit(law, runs, level=level, beyond=beyond, **options)
        result = result.calibrated(calibration_factor)
        known_now = target.estimate(result, level, cost)
        tolerance = target.tolerance(result, cost)
        row = {"runs": len(runs), "spent": spent, **known_now, "tolerance": tolerance}
        history.append(row)
        tell(history[-1])
        warn(result.warnings)
        reason_to_stop = "reached" if history[-1]["half_width"] <= history[-1]["tolerance"] else ""
        if by_worth and len(left) and np.isnan(history[-1]["half_width"]):
            reason = result.settings["withheld"] or f"{target.in_words} has no interval"
            reason_to_stop = f"the fit gives nothing to choose by; {reason}"
        if not reason_to_stop:
            chosen = choose(result, left, budget - spent)
            chosen = chosen[chosen["cost"].cumsum() <= budget - spent]
            reason_to_stop = "" if len(chosen) else _why_not(left, budget - spent)
        if reason_to_stop:
            return ReachResult(pd.DataFrame(history), result, reason_to_stop)
        runs = measure(chosen)
        spent, left = spent + float(chosen["cost"].sum()), left.drop(index=chosen.index)


def _by_worth(target: Target, each: int, cost: Cost, level: float) -> Choose:
    def choose(result: Result, left: pd.DataFrame, budget: float) -> pd.DataFrame:
        if not len(left):
            return left
        return choose_next(
            result, target, left, budget=budget, most=each, cost=cost, level=level
        ).table

    return choose


def _why_not(left: pd.DataFrame, budget: float) -> str:
    if not len(left):
        return "no candidate is left"
    if (left["cost"] > budget).all():
        return "the budget is spent"
    return "no affordable candidate tells more about the target"
