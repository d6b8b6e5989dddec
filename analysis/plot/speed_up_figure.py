"""What the compute of one recipe is worth in that of another, and its trend."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from scalinglab.analysis.arms.multiplier import BEST, NONE, ONE, OWN
from scalinglab.analysis.arms.scale import speed_up_along_ladder
from scalinglab.analysis.plot.arm_ratio_figure import TREND, trend_of, without_interval
from scalinglab.analysis.plot.frames import frame
from scalinglab.analysis.plot.labels import COMPUTE, decimal, of_arms
from scalinglab.analysis.plot.law_lines import LEVEL, interval_name
from scalinglab.analysis.plot.layers import line, points
from scalinglab.analysis.plot.style import INK, axes, category, finish
from scalinglab.analysis.plot.ticks import log_axis
from scalinglab.analysis.tables.powers import power
from scalinglab.scaling.errors import UserError

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from scalinglab.analysis.arms.comparison import ArmComparison

_REACH = 3.0  # times the largest compute, that the trend is drawn to: farther, its band is all
_BESIDE = 5.0  # typographic points between the marks of one budget
_WIDEST = 8.0  # multiplier and its inverse, up to which intervals are shown whole
_FLOORS = {OWN: ", own floors", ONE: ", one floor", NONE: ""}


def speed_up(comparison: ArmComparison, *, level: float = LEVEL, ax: Axes | None = None) -> Axes:
    """Compute that A needs for B's loss, over B's compute: above 1 B saves compute.

    Parameters
    ----------
    comparison : ArmComparison
        From `analysis.compare_arms`, with laws of both arms.
    level : float
        Of the intervals of the trend; those of the multipliers are the comparison's.
    ax : Axes, optional

    Returns
    -------
    Axes

    Raises
    ------
    UserError
        If an arm has too few runs for a law.
    """
    if comparison.result is None:
        raise UserError("compute multiplier: an arm has too few runs for a law of its own")
    ax = axes() if ax is None else ax
    along = speed_up_along_ladder(*trend_of(comparison, _REACH), level)
    bounded = along[np.isfinite(along["speed_up"])]
    ax.axhline(1, color="0.45", lw=0.8, zorder=1.6)
    line(
        ax,
        bounded[["C", "N", "D", "speed_up", "speed_up_lower", "speed_up_upper"]],
        "C",
        "speed_up",
        without_interval(TREND, bounded, "speed_up"),
        color=INK,  # the colours of the first categories are those of the arms
        band=interval_name(level),
        inside=bounded["inside"].to_numpy(bool),
        lw=1.5,
    )
    table = comparison.multipliers
    for k, (floor, rows) in enumerate(
        table[np.isfinite(table["multiplier"])].groupby("floor", sort=False)
    ):
        best = (rows["split"] == BEST).all()
        name = ("best splits" if best else "multiplier") + _FLOORS.get(str(floor), "")
        # Beside each other: both stand at the same budgets.
        aside = _BESIDE * (k - 0.5)
        is_inside = rows["inside"].to_numpy(bool)
        look = category(2 + k)
        points(ax, rows, "C", "multiplier", name, inside=is_inside, aside=aside, **look)
    log_axis(ax.xaxis, power)
    log_axis(ax.yaxis, lambda value: f"{decimal(value)}x")
    frame(ax, hold=(1.0, *_ends(table)))
    label = of_arms("compute multiplier of {B}", comparison.arms, "compute multiplier of B")
    return finish(ax, COMPUTE, label)


def _ends(multipliers: pd.DataFrame) -> list[float]:
    """The lowest and the highest end of the intervals: they say whether compute is saved."""
    ends = multipliers[["multiplier_lower", "multiplier_upper"]].to_numpy(float)
    ends = ends[np.isfinite(ends) & (ends > 0)].clip(1 / _WIDEST, _WIDEST)
    return [float(ends.min()), float(ends.max())] if len(ends) else []
