"""IsoFLOP curves: loss against size at each budget, with the minimum of its parabola."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

import numpy as np
import pandas as pd

from scalinglab.analysis.decisions.isoflop import isoflop_minima
from scalinglab.analysis.plot.frames import frame, loss_of_failure
from scalinglab.analysis.plot.labels import LOSS, SIZE
from scalinglab.analysis.plot.law_lines import LEVEL
from scalinglab.analysis.plot.layers import line, points
from scalinglab.analysis.plot.marks import MINIMUM
from scalinglab.analysis.plot.style import INK, Scale, axes, finish
from scalinglab.analysis.plot.ticks import log_axis, loss_axis
from scalinglab.analysis.tables.powers import power, short

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from scalinglab.analysis.decisions.isoflop import Minima

_SEEN = 0.1  # of the median's height above the lowest loss: twice the width of a line
_HEIGHTS = 5.0  # of the median above the lowest loss, from which a run is marked at the edge


def isoflop(
    runs: pd.DataFrame,
    *,
    minima: Minima | None = None,
    budget: str | None = None,
    level: float = LEVEL,
    ax: Axes | None = None,
) -> Axes:
    """Loss against N, a colour a budget, its parabola and the size of least loss.

    Parameters
    ----------
    runs : DataFrame
        ``N, C, loss``.
    minima : Minima, optional
        From `analysis.isoflop_minima`; default: found here.
    budget : str, optional
        The column that says which runs are of one budget.
    level : float
        Of the intervals of the parabolas and their minima.
    ax : Axes, optional

    Returns
    -------
    Axes
    """
    ax = axes() if ax is None else ax
    runs = runs[np.isfinite(pd.to_numeric(runs["loss"]))].reset_index(drop=True)
    minima = isoflop_minima(runs, budget=budget, level=level) if minima is None else minima
    budgets = minima.table["C"].to_numpy(float)
    nearest = np.abs(np.log(runs["C"].to_numpy(float))[:, None] - np.log(budgets)).argmin(axis=1)
    scale = Scale(budgets)
    columns = [name for name in ("run_id", "N", "D", "C", "loss") if name in runs]
    loss = runs["loss"].to_numpy(float)
    away = loss > loss_of_failure(loss, _HEIGHTS)
    points(ax, runs[columns], "N", "loss", "runs", color=scale(budgets[nearest]), away=away)
    band = f"{level:.0%} interval of the parabola" if _has_seen_bands(minima, loss) else ""
    for k, (cost, budget_line) in enumerate(minima.lines.groupby("C")):
        line(
            ax,
            budget_line,
            "N",
            "loss",
            f"parabola at C = {power(cast('float', cost))}",
            color=scale(cost),
            label=False,
            band=band if k == 0 else "",
            lw=1.1,
        )
    optima = minima.found
    if len(optima):
        _minima(ax, optima)
    log_axis(ax.xaxis, short)
    loss_axis(ax.yaxis)
    frame(ax)
    scale.bar(ax, "training compute C (FLOPs)", powers=True)
    return finish(ax, SIZE, LOSS)


def _has_seen_bands(minima: Minima, loss: np.ndarray) -> bool:
    """Whether intervals of the parabolas are wider than their lines: else no legend names them."""
    if "loss_lower" not in minima.lines:
        return False
    width = (minima.lines["loss_upper"] - minima.lines["loss_lower"]).median()
    return bool(width > _SEEN * (np.median(loss) - loss.min()))


def _minima(ax: Axes, optima: pd.DataFrame) -> None:
    """The minima with a bar for their interval along N."""
    drawn = points(ax, optima, "N", "loss", "minimum, with its interval", **MINIMUM)
    drawn.artists.append(
        ax.hlines(optima["loss"], optima["N_lower"], optima["N_upper"], color=INK, lw=1.2, zorder=3)
    )
