"""Loss of one recipe over that of another along compute."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from scalinglab.analysis.arms.scale import ratios_along_ladder
from scalinglab.analysis.plot.frames import frame
from scalinglab.analysis.plot.labels import COMPUTE, SIZE, of_arms
from scalinglab.analysis.plot.law_lines import LEVEL, interval_name
from scalinglab.analysis.plot.layers import line, points
from scalinglab.analysis.plot.style import INK, Scale, axes, finish
from scalinglab.analysis.plot.ticks import log_axis
from scalinglab.analysis.tables.powers import power
from scalinglab.scaling.errors import UserError

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from scalinglab.analysis.arms.comparison import ArmComparison
    from scalinglab.analysis.arms.ladder import Ladder
    from scalinglab.analysis.fitting.result import Result

_GRID = 96
TREND = "ratio of the laws on the runs' trend"  # of N and D, straight in logarithms; see `Ladder`
_LABELS = (
    "loss of {B} against {A} (%)",
    "loss against {A} (%)",
    "loss against the baseline (%)",
)
_REACH = 1.6  # times the largest compute, that laws are drawn to
_FAR = 0.7  # of the height of the pairs, that the interval of the laws may add on either side


def arm_ratio(comparison: ArmComparison, *, level: float = LEVEL, ax: Axes | None = None) -> Axes:
    """Loss of B over that of A, minus one: paired runs, and the laws of both along the ladder.

    Parameters
    ----------
    comparison : ArmComparison
        From `analysis.compare_arms`.
    level : float
        Of the interval of the laws' ratio.
    ax : Axes, optional

    Returns
    -------
    Axes

    Raises
    ------
    UserError
        If no two runs are paired.
    """
    table = pair_table(comparison)
    ax = axes() if ax is None else ax
    ax.axhline(0, color="0.45", lw=0.8, zorder=1.6)
    scale = Scale(table["N"])
    points(ax, table, "C", "percent", "paired runs", color=scale(table["N"]))
    if comparison.result is not None:
        along = ratios_along_ladder(*_trend(comparison, _REACH), level)
        percent = along.assign(
            **{
                f"percent{end}": 100 * (along[f"ratio{end}"] - 1)
                for end in ("", "_lower", "_upper")
            }
        )
        line(
            ax,
            percent,
            "C",
            "percent",
            without_interval(TREND, along, "ratio"),
            color=INK,  # the colours of the first categories are those of the arms
            band=f"{interval_name(level)} of the line",
            inside=along["inside"].to_numpy(bool),
            lw=1.5,
        )
    log_axis(ax.xaxis, power)
    frame(ax, log=False, far=_FAR, hold=(0.0,))
    scale.bar(ax, SIZE)
    return finish(ax, COMPUTE, of_arms(comparison.arms, *_LABELS))


def without_interval(name: str, along: pd.DataFrame, column: str) -> str:
    """The name of a line, which says so if it has no interval."""
    return name if along[f"{column}_lower"].notna().any() else f"{name} (no interval)"


def pair_table(comparison: ArmComparison) -> pd.DataFrame:
    """The pairs with their compute.

    Raises
    ------
    UserError
        If no two runs are paired.
    """
    table = comparison.pairs.table
    if table.empty:
        raise UserError(
            f"no two runs share {', '.join(comparison.pairs.by)}: there is nothing to draw"
        )
    return table.assign(C=6 * table["N"] * table["D"], percent=100 * (table["ratio"] - 1))


def _trend(
    comparison: ArmComparison, reach: float
) -> tuple[Result, tuple[str, str], Ladder, list[float]]:
    """What is drawn along the ladder: from the least compute to `reach` times the largest."""
    ladder = comparison.ladder
    assert comparison.result is not None and ladder is not None
    grid = np.geomspace(ladder.low, reach * ladder.top, _GRID)
    return comparison.result, comparison.arms, ladder, grid.tolist()
