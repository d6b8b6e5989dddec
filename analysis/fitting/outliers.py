"""Outliers: points far from the law, and how the fit changes without them.

A run that diverged with a finite loss (9.8 where the law predicts 3) hardly moves a robust fit, but
it widens every interval that comes from resamples.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from scalinglab.analysis.fitting.far_residuals import outlying
from scalinglab.analysis.fitting.result import Result
from scalinglab.analysis.intervals.spread import quantiles
from scalinglab.analysis.laws.law import SPLITS, Array, Law
from scalinglab.analysis.tables.condition import rows_that_meet
from scalinglab.analysis.tables.exclusion import exclude_advice, is_plain
from scalinglab.analysis.tables.labels import row_name
from scalinglab.analysis.tables.points import Points
from scalinglab.analysis.tables.powers import of_column, short
from scalinglab.scaling.errors import UserError
from scalinglab.scaling.text.conditions import ConditionError

_NAMED = 5
_LONGEST = 500  # characters of a condition that is proposed
_SAME = 0.2  # of an interval's width: so much do its ends move by the draws of few resamples
_FINE = 1201  # splits, of neighbouring sizes that differ by a percent
_FARTHER = 10.0  # times the largest measured: where an answer is asked for that has no budget


@dataclass(frozen=True)
class Outlier:
    """A point far from the law.

    Attributes
    ----------
    place : int
        Among the points of the fit.
    name : str
        The run, or the row of the table.
    predicted, measured, sigmas : float
        `sigmas` robust standard deviations of the residuals lie between them.
    """

    place: int
    name: str
    predicted: float
    measured: float
    sigmas: float


def far_points(law: Law, residuals: Array, points: Points, free: int) -> Array:
    """Whether each point of a fit lies far from its law, (n,); none does of a law of curves."""
    if law.curve:
        return np.zeros(len(residuals), bool)
    return outlying(residuals * points.sharpness, free) > 0


def find_outliers(result: Result, points: Points, data: pd.DataFrame) -> list[Outlier]:
    """Points of a fit that lie far from its law, farthest first; none of a law of whole curves."""
    if result.law.curve:
        return []
    sigmas = outlying(result.residuals * points.sharpness, len(result.free))
    target = result.scale.of(points.response) - result.residuals
    outliers = [
        Outlier(
            int(i),
            row_name(data, points.rows[i]),
            float(result.scale.back(target[i])),
            float(points.response[i]),
            float(sigmas[i]),
        )
        for i in np.flatnonzero(sigmas)
    ]
    return sorted(outliers, key=lambda outlier: -outlier.sigmas)


def outlier_warnings(
    result: Result, points: Points, data: pd.DataFrame, refit: Callable[[Array], Result]
) -> list[str]:
    """Sentences that name the outliers, the change without them, and how to exclude them.

    Parameters
    ----------
    result, points, data
        The fit, its points, and the table they were read from.
    refit : callable
        The same fit of some rows of the table, an array of bool.
    """
    outliers = find_outliers(result, points, data)
    if not outliers:
        return []
    named = "; ".join(
        f"{outlier.name}: {outlier.measured:.4g} measured, {outlier.predicted:.4g} predicted,"
        f" {outlier.sigmas:.0f} times the scatter of the others"
        for outlier in outliers[:_NAMED]
    )
    more = f" and {len(outliers) - _NAMED} more" if len(outliers) > _NAMED else ""
    are = "1 point lies" if len(outliers) == 1 else f"{len(outliers)} points lie"
    is_outlier = np.zeros(len(data), bool)
    is_outlier[points.rows[[outlier.place for outlier in outliers]]] = True
    they = "it" if len(outliers) == 1 else "them"
    try:
        change = _change(result, refit(~is_outlier), they)
    except UserError as error:
        change = f"Without {they} there is no fit: {error}"
    return [
        f"{are} far from the law ({named}{more}). {change}{_way(result, data, is_outlier, they)}"
    ]


def _change(before: Result, after: Result, they: str) -> str:
    words, ask, written = _headline(before)
    with_them, without = _answer(ask, before), _answer(ask, after)
    if _is_same(with_them, without, written):
        ends = [written(answer[0]) for answer in (with_them, without)]
        if ends[0] == ends[1]:
            return f"Leaving {they} out does not change {words}, {ends[0]}"
        return (
            f"Leaving {they} out hardly changes {words}: {ends[0]} with {they}, {ends[1]} without"
        )
    said = [_said(answer, written) for answer in (with_them, without)]
    return f"Without {they} {words} goes from {said[0]} to {said[1]}"


def _is_same(before: Array, after: Array, written: Callable[[float], str]) -> bool:
    """Whether two answers, (value, low, high), differ by less than refits do among each other."""
    if not np.isfinite([before, after]).all():
        return written(before[0]) == written(after[0])
    width = max(before[2] - before[1], after[2] - after[1])
    return bool((np.abs(after - before) <= _SAME * width).all())


def _minimum(log_sizes: Array, loss: Array) -> Array:
    """The size of least loss between the points of an even grid, by a parabola through three."""
    at = np.clip(np.argmin(loss, axis=-1), 1, len(log_sizes) - 2)
    below, middle, above = (
        np.take_along_axis(loss, (at + step)[..., None], -1)[..., 0] for step in (-1, 0, 1)
    )
    bend = below - 2 * middle + above
    shift = np.where(bend > 0, (below - above) / (2 * np.where(bend > 0, bend, 1)), 0)
    return np.exp(log_sizes[at] + np.clip(shift, -1, 1) * (log_sizes[1] - log_sizes[0]))


def _headline(
    result: Result,
) -> tuple[str, Callable[[Array, Result], Array], Callable[[float], str]]:
    """The main quantity of a law, in words, as a function of parameters (n, p), and as a text."""
    tops = {name: high for name, (_, high) in result.ranges.items()}
    if set(result.law.columns) == {"N", "D"}:
        # A round one that was measured, as budgets that are asked for.
        cost = 10.0 ** np.floor(np.log10(6 * _largest_product(result)))
        # The splits of an allocation: beyond them a law may fall again, and is not asked.
        sizes = np.sqrt(cost / (6 * np.geomspace(SPLITS[1], SPLITS[0], _FINE)))

        def best(params: Array, fitted: Result) -> Array:
            loss = fitted.law.predict(params, {"N": sizes, "D": cost / (6 * sizes)})
            return _minimum(np.log(sizes), loss)

        return f"the best N at C = {cost:.3g}", best, short
    if set(result.law.columns) - set(tops):
        return (
            "the root mean square of the residuals",
            lambda _, fitted: np.array([np.sqrt(np.mean(fitted.residuals**2))]),
            _digits,
        )
    scales = [name for name in tops if name in ("N", "D", "C", "x")] or [*tops]
    columns = {
        name: np.array([high * (_FARTHER if name in scales else 1.0)])
        for name, high in tops.items()
    }

    def far(params: Array, fitted: Result) -> Array:
        return fitted.law.predict(params, columns)[:, 0]

    where = ", ".join(f"{name} = {of_column(name, c[0])}" for name, c in columns.items())
    return f"the {result.law.response} predicted at {where}", far, _digits


def _largest_product(result: Result) -> float:
    """The largest N D of a run; of the largest N and D where runs are not known together."""
    ends = result.measured.ends.get(("N", "D"))
    return float(np.exp(ends[1])) if ends else result.ranges["N"][1] * result.ranges["D"][1]


def _digits(value: float) -> str:
    return f"{value:.4g}"


def _answer(ask: Callable[[Array, Result], Array], result: Result) -> Array:
    """The best value and the ends of its interval, (3,); NaN without an interval."""
    best = np.array([list(result.params.values())])
    low, high = quantiles(ask(result.params_and_draws(), result)[1:], result.settings["level"])
    return np.array([float(ask(best, result)[0]), low, high], float)


def _said(answer: Array, written: Callable[[float], str]) -> str:
    value, low, high = answer
    return (
        f"{written(value)} ({written(low)} to {written(high)})"
        if np.isfinite(low)
        else written(value)
    )


def _way(result: Result, data: pd.DataFrame, is_outlier: Array, they: str) -> str:
    sources = [result.columns[result.law.response], *result.columns.values()]
    rule = rule_that_excludes(sources, data, is_outlier)
    return f"; in the command, {rule} leaves {they} out" if rule else ""


def rule_that_excludes(columns: Sequence[str], data: pd.DataFrame, rows: Array) -> str:
    """The ``exclude=`` that leaves out exactly some rows; empty if nobody could type one.

    Parameters
    ----------
    columns : sequence of str
        Columns of the table that conditions may read, the response first.
    data : DataFrame
    rows : array of bool, shape (n,)
    """
    for conditions in _conditions(columns, data, rows):
        if sum(map(len, conditions)) > _LONGEST:  # too long to read or to type
            continue
        try:
            met = np.any([rows_that_meet(data, condition) for condition in conditions], axis=0)
        except ConditionError:
            continue
        if (met == rows).all():
            return exclude_advice(*conditions)
    return ""


def _conditions(columns: Sequence[str], data: pd.DataFrame, rows: Array) -> list[list[str]]:
    """Conditions that may hold for these rows alone, those that are easiest to read first."""
    some, conditions = data[rows], []
    for column in ("run_id", "run"):
        if column in some and some[column].notna().all():
            conditions.append(_each_of(column, some[column]))
    names = [s for s in dict.fromkeys(columns) if s in some and s.isidentifier()]
    if names:
        conditions += _beyond_all_others(names[0], data[names[0]], rows)
        conditions.append(_each_of(names[0], some[names[0]]))
        conditions.append(
            [
                " and ".join(f"{name} == {_literal(row[name])}" for name in names)
                for _, row in some.iterrows()
            ]
        )
    return sorted(conditions, key=lambda each: (not is_plain(*each), len(each) > 1))


def _beyond_all_others(column: str, values: pd.Series, is_outlier: Array) -> list[list[str]]:
    """One bound, if these rows are larger or smaller than all others: ``loss > 5``."""
    numbers = values.to_numpy(float)
    others, some = numbers[~is_outlier & np.isfinite(numbers)], numbers[is_outlier]
    if not len(others) or not (some > 0).all():
        return []
    if some.min() > others.max():
        low, high, sign = others.max(), some.min(), ">"
    elif some.max() < others.min():
        low, high, sign = some.max(), others.min(), "<"
    else:
        return []
    between = [float(f"{np.sqrt(max(low, 1e-300) * high):.{digits}g}") for digits in (1, 2, 3)]
    return [[f"{column} {sign} {bound:g}"] for bound in between if low < bound < high][:1]


def _literal(cell: Any) -> str:
    return repr(cell) if isinstance(cell, str) else repr(float(cell))


def _each_of(column: str, values: pd.Series) -> list[str]:
    return [f"{column} == {_literal(value)}" for value in values.unique()]
