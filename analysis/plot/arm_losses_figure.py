"""Loss of two recipes against compute: the runs of each, and its own law."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from scalinglab.analysis.arms.scale import law_of_arm
from scalinglab.analysis.arms.sentences import at_best_splits
from scalinglab.analysis.decisions.optimum import best_split
from scalinglab.analysis.plot.frames import frame
from scalinglab.analysis.plot.labels import COMPUTE, LOSS
from scalinglab.analysis.plot.law_lines import LEVEL, inside_rows, interval_name, law_line
from scalinglab.analysis.plot.layers import line
from scalinglab.analysis.plot.sized_points import points_by_size, size_legend
from scalinglab.analysis.plot.style import axes, category, finish
from scalinglab.analysis.plot.ticks import log_axis, loss_axis
from scalinglab.analysis.tables.powers import power
from scalinglab.scaling.errors import UserError

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from scalinglab.analysis.arms.comparison import ArmComparison

_ROOM = 1.6  # of compute, around the runs
_LINE = 80  # points of a law's line


def arm_losses(comparison: ArmComparison, *, level: float = LEVEL, ax: Axes | None = None) -> Axes:
    """Loss of the compared runs against C, a colour and a marker an arm, with the law of each arm.

    Parameters
    ----------
    comparison : ArmComparison
        From `analysis.compare_arms`. Its laws are drawn at the best split of each compute, or along
        the ladder of the runs where they do not tell best splits.
    level : float
        Of the intervals of the laws.
    ax : Axes, optional

    Returns
    -------
    Axes

    Raises
    ------
    UserError
        If the comparison holds no run.
    """
    runs = comparison.runs
    if runs.empty:
        raise UserError("losses of the arms: no run has come to its end; there is nothing to draw")
    ax = axes() if ax is None else ax
    table = runs.assign(C=6 * runs["N"] * runs["D"])
    low, measured = table["C"].min() / _ROOM, table["C"].max()
    for k, arm in enumerate(comparison.arms):
        of_arm = table.loc[table["arm"] == arm, _columns(table)]
        # Outlines: paired runs lie upon each other, and neither hides the other.
        look = {**category(k), "edge": category(k)["color"], "color": "none"}
        points_by_size(ax, of_arm, "C", "loss", arm, of=table["N"], **look)
    if comparison.result is not None:
        _laws(ax, comparison, np.geomspace(low, measured * _ROOM, _LINE), level)
    size_legend(ax, table["N"])
    log_axis(ax.xaxis, power)
    loss_axis(ax.yaxis)
    ax.set_xlim(low, measured * _ROOM)
    frame(ax)
    return finish(ax, COMPUTE, LOSS)


def law_place(comparison: ArmComparison) -> str:
    """Where the laws are drawn, in words."""
    return (
        "at the best split of each C" if at_best_splits(comparison) else "on the trend of N and D"
    )


def _columns(table: pd.DataFrame) -> list[str]:
    return [name for name in ("run_id", "arm", "N", "D", "C", "loss") if name in table]


def _laws(ax: Axes, comparison: ArmComparison, cost: np.ndarray, level: float) -> None:
    """The law of each arm, in its colour; the legend's entry of an arm stands for its line, too."""
    result, ladder = comparison.result, comparison.ladder
    assert result is not None and ladder is not None
    band = interval_name(level) if len(result.draws) else ""
    for k, arm in enumerate(comparison.arms):
        N, D = ladder.at(cost)
        if at_best_splits(comparison):
            law, params = law_of_arm(result, arm)
            N, D = best_split(law, np.repeat(params[:1], len(cost), axis=0), cost)
        told = np.isfinite(N) & np.isfinite(D)
        table: pd.DataFrame = law_line(result, N[told], D[told], level, arm=arm)
        style: dict[str, Any] = {"color": category(k)["color"], "lw": 1.6}
        # One band's entry serves both: colours say whose it is.
        style["inside"] = inside_rows(result, table)
        line(ax, table, "C", "loss", f"law, {arm}", label=False, band=band * (k == 0), **style)
