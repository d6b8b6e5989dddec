"""Laws of limits: the loss that unlimited compute reaches on a fixed amount of data.

At each number of unique tokens U, loss falls with size (or with the members of an ensemble) towards
a limit, L = E_U + (x0 / x)^a; the limits fall with U as a power law again (arXiv:2509.14786). With
several variables, members and then size, the limits are taken one after the other. The uncertainty
of each limit is propagated into the next law.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import pandas as pd

from scalinglab.analysis.fitting.fit import fit
from scalinglab.analysis.fitting.lockstep import in_lockstep
from scalinglab.analysis.fitting.result import Result
from scalinglab.analysis.intervals.spread import quantiles
from scalinglab.analysis.laws.law import Array
from scalinglab.analysis.laws.power import POWER_PLUS_CONSTANT
from scalinglab.scaling.errors import UserError

_LAW = POWER_PLUS_CONSTANT
_LIMIT = _LAW.parameters_with_role("floor")[0]
_QUADRATIC = 100  # standard errors below which the cost is quadratic: weighted least squares
_LEAST_ERROR = 1e-6  # nats: the standard error of a limit that a fit gives exactly


@dataclass(frozen=True)
class Asymptotes:
    """Limits and the law that they follow.

    Attributes
    ----------
    table : DataFrame
        One row per group of the last limits taken: ``by``, ``limit``, ``lower``, ``upper``,
        ``standard_error`` and ``identified``.
    draws : array, shape (resamples, groups)
        The limits of each resample.
    law : Result or None
        ``power_plus_constant`` of the limits in `by`; None where there are fewer than four.
    fits : dict of tuple to Result
        The fit behind each limit, by the values of the columns that it holds fixed.
    by : str
    """

    table: pd.DataFrame
    draws: Array
    law: Result | None
    fits: dict[tuple, Result]
    by: str


def asymptotes(
    data: pd.DataFrame,
    *,
    x: str | Sequence[str] = "N",
    by: str = "U",
    loss: str = "loss",
    resamples: int = 1000,
    seed: int = 0,
    level: float = 0.95,
    **options: Any,
) -> Asymptotes:
    """Take losses to their limit in `x` at each value of `by`, and fit the limits' law in `by`.

    Parameters
    ----------
    data : DataFrame
    x : str or list of str
        The column that goes to infinity, a size; or several in turn: ``["members", "N"]`` takes
        first the members of an ensemble at each size, then the size.
    by : str
        The column of which the limits remain a function: unique tokens.
    loss : str
        The measured response.
    resamples, seed, level, **options
        As in `analysis.fit`; options are for the fits of single limits.

    Raises
    ------
    UserError
        If a column is missing, or a group has fewer than four points.
    """
    along = [x] if isinstance(x, str) else list(x)
    for column in (*along, by, loss):
        if column not in data.columns:
            raise UserError(f"asymptotes need column {column!r}")
    points, spread = data.reset_index(drop=True), None
    fits: dict[Any, Result] = {}
    settings = {"resamples": resamples, "seed": seed, "level": level}
    for step, name in enumerate(along):
        grouping = [*along[step + 1 :], by]
        fit_options = {**settings, "columns": {"loss": loss}, **(options if spread is None else {})}
        points, spread, step_fits = _limits(points, spread, name, grouping, fit_options)
        fits |= step_fits
        loss = "limit"
    assert spread is not None  # there is a column to go along
    low, high = quantiles(spread, level)
    table = points.assign(lower=low, upper=high)
    law = None
    if len(table) >= 4:
        law = _law_of_limits(table, spread, by, settings | {"columns": {"loss": "limit"}})
    return Asymptotes(table, spread, law, fits, by)


def _limits(
    points: pd.DataFrame, spread: Array | None, x: str, grouping: list[str], options: dict[str, Any]
) -> tuple[pd.DataFrame, Array, dict[tuple, Result]]:
    """The limit in `x` at each combination of the held columns, with draws and fits."""
    groups = dict(iter(points.groupby(grouping)))
    for values, part in groups.items():
        where = ", ".join(f"{c}={v:g}" for c, v in zip(grouping, values, strict=True))
        if len(part) < 4:
            raise UserError(f"{len(part)} points at {where}: a limit in {x} needs four or more")
    # The same law of several tables: the fits share their steps.
    results = in_lockstep(
        [
            partial(fit, _LAW, part, x=x, **options)
            if spread is None
            else partial(_law_of_limits, part, spread[:, part.index], x, options)
            for part in groups.values()
        ]
    )
    draws = [result.draws[_LIMIT].to_numpy() for result in results]
    rows = [
        {
            **dict(zip(grouping, values, strict=True)),
            "limit": result.params[_LIMIT],
            "standard_error": drawn.std(),
            "identified": _LIMIT not in result.diagnosis.unidentified,
        }
        for values, result, drawn in zip(groups, results, draws, strict=True)
    ]
    fits = {(x, *values): result for values, result in zip(groups, results, strict=True)}
    return pd.DataFrame(rows), np.array(draws).T, fits


def _law_of_limits(points: pd.DataFrame, spread: Array, x: str, options: dict[str, Any]) -> Result:
    """The law of limits in `x`, each weighted by its error and resampled by its draws."""
    if not np.isfinite(spread).all():
        raise UserError(f"a law of limits in {x} needs their errors: give more points to each")
    error = np.maximum(points["standard_error"].to_numpy(), _LEAST_ERROR)
    options = {**options, "objective": "huber", "delta": _QUADRATIC * float(np.median(error))}
    return fit(_LAW, points, x=x, noise=error, resample=spread, **options)
