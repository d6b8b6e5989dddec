"""Approach 2: the least loss along each IsoFLOP curve, by a parabola in log N.

Such a curve is not exactly a parabola: the parabola's minimum is biased if the sizes are not
centred on the true one or reach far (arXiv:2603.22339). `scalinglab.analysis.decisions.approaches`
computes the bias for the measured sizes from a fitted surface. A budget whose points show no
minimum inside their sizes is refused: its minimum would be pure extrapolation.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from scalinglab.analysis.intervals.spread import quantiles
from scalinglab.analysis.shown import Overview, Shown
from scalinglab.scaling.errors import UserError

Array = np.ndarray

LEAST_SIZES = 4  # one more than a parabola has parameters
REACH = 8.0  # sizes this many times smaller or larger than the best still count
_SAME_BUDGET = 0.1  # gap in log C between two budgets
SAME_COST = 1.25  # largest ratio of the costs of one curve
_LINE = 40  # points of a parabola that is drawn
_LINE_COLUMNS = ("C", "N", "loss", "loss_lower", "loss_upper")
_CERTAIN = 0.9  # share of the resamples with a minimum inside the sizes


@dataclass(frozen=True, repr=False)
class Minima(Shown):
    """The minima of the IsoFLOP curves.

    Attributes
    ----------
    table : DataFrame
        One row per budget: ``C, points, N`` of least loss with ``N_lower`` and ``N_upper``,
        ``loss`` there, and ``refused``: why it has none, empty where it has one.
    drawn : array, shape (1 + resamples, budgets with a minimum)
        log N of the minima: the best, then those that could have been.
    residual : float
        Root mean square error of the parabolas, relative to the loss.
    lines : DataFrame
        The parabolas as far as their points reach: ``C, N, loss`` with ``loss_lower`` and
        ``loss_upper``, of the budgets with a minimum.
    """

    table: pd.DataFrame
    drawn: Array
    residual: float
    lines: pd.DataFrame

    @property
    def shown(self) -> Overview:
        """As `Shown`: a row a budget with a minimum, and why others have none."""
        columns = [name for name in self.found if name != "refused"]
        refused = self.table[self.table["refused"] != ""]
        return Overview(
            f"Minima of {len(self.found)} IsoFLOP curves",
            {"": self.found[columns]},
            (f"The parabolas miss the loss by {self.residual:.2%} (root mean square).",),
            tuple(f"C = {row.C:.3g}: {row.refused}" for row in refused.itertuples()),
        )

    @property
    def found(self) -> pd.DataFrame:
        """The budgets with a minimum."""
        return self.table[self.table["refused"] == ""]


def isoflop_minima(
    points: pd.DataFrame,
    *,
    budget: str | None = None,
    reach: float = REACH,
    resamples: int = 1000,
    seed: int = 0,
    level: float = 0.95,
) -> Minima:
    """Fit a parabola in log N to log loss at each budget.

    Resamples add to each parabola errors drawn from the residuals of all parabolas, widened for the
    fitted parameters. So deviations from a parabola count as noise.

    Parameters
    ----------
    points : DataFrame
        ``N, C, loss``, one row per run.
    budget : str, optional
        The column that says which points are of one budget. Default: C, points closer than a tenth
        counting as one.
    reach : float
        Sizes more than this factor away from the best one measured are left out: there the curve is
        farthest from a parabola.
    resamples : int
        Number of resamples for the intervals; 0 for none.
    seed : int
        Bootstrap seed.
    level : float
        Level of the intervals.

    Raises
    ------
    UserError
        If a column is missing, or `reach` is no factor above 1.
    """
    for column in ("N", "C", "loss", *([budget] if budget else ())):
        if column not in points:
            raise UserError(f"IsoFLOP minima need the column {column!r}")
    if not reach > 1:
        raise UserError(f"reach = {reach!r} must be a factor above 1")
    curves = [
        _Curve(budget_points, reach)
        for _, budget_points in points.groupby(budgets_of(points, budget))
    ]
    errors = _errors(curves)
    rng = np.random.default_rng(seed)
    rows, drawn, lines = [], [], []
    for curve in curves:
        tops, refused = np.empty(0), curve.refused
        if not refused:
            noise = rng.choice(errors, size=(resamples, len(curve.x)))
            tried = np.vstack([curve.y, curve.fitted + noise])
            bent, tops = curve.vertices(tried)
            inside = bent & (tops > curve.x.min()) & (tops < curve.x.max())
            tops = np.where(inside, tops, np.nan)
            refused = curve.uncertain(inside)
        if not refused:
            drawn.append(tops)
            lines.append(curve.line(tried, level))
        rows.append(_row(curve, tops, refused, level))
    vertices = np.array(drawn).T if drawn else np.empty((1 + resamples, 0))
    return Minima(
        pd.DataFrame(rows),
        vertices,
        float(np.sqrt(np.mean(errors**2))),
        pd.concat(lines, ignore_index=True) if lines else pd.DataFrame(columns=_LINE_COLUMNS),
    )


class _Curve:
    """The points of one budget, and the parabola through them: y = log loss, x = log N."""

    def __init__(self, points: pd.DataFrame, reach: float) -> None:
        self.budget = float(np.exp(np.log(points["C"]).mean()))
        points = points.sort_values("N")
        x, y = (np.log(points[name].to_numpy(float)) for name in ("N", "loss"))
        near = np.abs(x - x[np.argmin(y)]) <= np.log(reach)
        self.x, self.y = x[near], y[near]
        self.apart = float(np.exp(np.ptp(np.log(points["C"].to_numpy(float)[near]))))
        self.sizes = len(np.unique(self.x))
        if self.sizes < LEAST_SIZES:
            return
        centred = self.x - self.x.mean()
        basis = np.stack([np.ones_like(centred), centred, centred**2])
        self._solve = np.linalg.pinv(basis.T)
        self.fitted = basis.T @ (self._solve @ self.y)

    def vertices(self, y: Array) -> tuple[Array, Array]:
        """Whether each row's parabola has a minimum, and log N there."""
        _, slope, bend = self._solve @ y.T
        bent = bend > 0
        return bent, self.x.mean() - slope / (2 * np.where(bent, bend, np.nan))

    def line(self, y: Array, level: float) -> pd.DataFrame:
        """The parabola through the first row of `y`, and the interval of those through the rest."""
        x = np.linspace(self.x.min(), self.x.max(), _LINE)
        centred = x - self.x.mean()
        basis = np.stack([np.ones_like(centred), centred, centred**2])
        losses = np.exp((self._solve @ y.T).T @ basis)
        low, high = quantiles(losses[1:], level)
        values = (np.full(_LINE, self.budget), np.exp(x), losses[0], low, high)
        return pd.DataFrame(dict(zip(_LINE_COLUMNS, values, strict=True)))

    @property
    def refused(self) -> str:
        """Why the points have no minimum inside their sizes; empty if they have one."""
        if self.sizes < LEAST_SIZES:
            return f"too few sizes near its least loss: a parabola needs {LEAST_SIZES}"
        if self.apart > SAME_COST:
            return f"its points' costs differ {self.apart:.2g}-fold: they are no curve of one cost"
        least = self.x[np.argmin(self.y)]
        for end, name in ((self.x.min(), "smallest"), (self.x.max(), "largest")):
            if least == end:
                return f"the loss still falls towards the {name} size"
        bent, top = self.vertices(self.y[None])
        if not bent[0]:
            return "the parabola has no minimum"
        if not self.x.min() < top[0] < self.x.max():
            return "the parabola's minimum lies outside the sizes"
        return ""

    def uncertain(self, inside: Array) -> str:
        """Why the resamples do not confirm the minimum; empty if they do."""
        if len(inside) > 1 and inside[1:].mean() < _CERTAIN:
            return f"only {inside[1:].mean():.0%} of the resamples have a minimum inside the sizes"
        return ""


def _errors(curves: list[_Curve]) -> Array:
    """Residuals of all parabolas with both signs, each widened for the fitted parameters."""
    parts = [
        (c.y - c.fitted) * np.sqrt(len(c.x) / max(len(c.x) - 3, 1))
        for c in curves
        if c.sizes >= LEAST_SIZES
    ]
    together = np.concatenate([*parts, [0.0]]) if parts else np.zeros(1)
    return np.concatenate([together, -together])


def budgets_of(points: pd.DataFrame, budget: str | None = None) -> Array:
    """Which IsoFLOP budget each row is of, by its C or a column that says so, shape (n,)."""
    if budget is not None:
        return pd.factorize(points[budget], sort=True)[0]
    order = np.argsort(points["C"].to_numpy(float))
    log_C = np.log(points["C"].to_numpy(float)[order])
    group = np.empty(len(points), int)
    group[order] = np.concatenate([[0], np.cumsum(np.diff(log_C) > _SAME_BUDGET)])
    return group


def _row(curve: _Curve, tops: Array, refused: str, level: float) -> dict:
    row: dict[str, Any] = {"C": curve.budget, "points": len(curve.x), "N": np.nan, "loss": np.nan}
    row |= {"N_lower": np.nan, "N_upper": np.nan, "refused": refused}
    if refused:
        return row
    drawn = tops[1:]  # `uncertain` has judged how many have no minimum inside
    low, high = quantiles(drawn[np.isfinite(drawn)], level)
    row |= {"N": float(np.exp(tops[0])), "N_lower": float(np.exp(low))}
    nearest = np.interp(tops[0], curve.x, curve.fitted)
    return row | {"N_upper": float(np.exp(high)), "loss": float(np.exp(nearest))}
