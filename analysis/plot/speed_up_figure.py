"""What the compute of one recipe is worth in that of another, along compute."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from scalinglab.analysis.arms.both_arms import measured_by_arm
from scalinglab.analysis.arms.multiplier import BEST, NONE, ONE, OWN, multipliers_on_way
from scalinglab.analysis.arms.sentences import at_best_splits
from scalinglab.analysis.arms.ways import Way
from scalinglab.analysis.plot.frames import frame
from scalinglab.analysis.plot.labels import COMPUTE, decimal, of_arms
from scalinglab.analysis.plot.law_lines import LEVEL, interval_name
from scalinglab.analysis.plot.layers import layers, line, points
from scalinglab.analysis.plot.style import axes, category, finish
from scalinglab.analysis.plot.ticks import log_axis
from scalinglab.analysis.tables.powers import power
from scalinglab.scaling.errors import UserError

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from scalinglab.analysis.arms.comparison import ArmComparison

_GRID = 24  # points of the line: each is a search in every resample
_BESIDE = 5.0  # typographic points between the marks of one budget
_WIDEST = 8.0  # multiplier and its inverse, up to which intervals are shown whole
_FLOORS = {OWN: ", own floors", ONE: ", one floor", NONE: ""}
_FIRST = 2  # category of the first treatment of the floor: those before are the arms
_LABELS = ("compute multiplier of {B}", "compute multiplier over {A}", "compute multiplier")


def speed_up(comparison: ArmComparison, *, level: float = LEVEL, ax: Axes | None = None) -> Axes:
    """Compute that A needs for B's loss, over B's compute: above 1 B saves compute.

    Parameters
    ----------
    comparison : ArmComparison
        From `analysis.compare_arms`, with laws of both arms.
    level : float
        Of the band; the bars of the marks have the level of the comparison.
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
    ax.axhline(1, color="0.45", lw=0.8, zorder=1.6)
    along = _along(comparison, level)
    line(
        ax,
        along[["C", "N", "D", "multiplier", "multiplier_lower", "multiplier_upper"]],
        "C",
        "multiplier",
        "multiplier of the first marks",
        color=category(_FIRST)["color"],
        label=False,  # the entry of its marks stands for it, too
        band=interval_name(level),
        inside=along["inside"].to_numpy(bool),
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
        look = category(_FIRST + k)
        points(ax, rows, "C", "multiplier", name, inside=is_inside, aside=aside, **look)
    log_axis(ax.xaxis, power)
    log_axis(ax.yaxis, lambda value: f"{decimal(value)}x")
    frame(ax, hold=(1.0, *_ends(table)))
    return finish(ax, COMPUTE, of_arms(comparison.arms, *_LABELS))


def goes_on(ax: Axes) -> bool:
    """Whether an interval reaches beyond the frame, and its bar ends in an arrow."""
    bottom, top = ax.get_ylim()
    ends = [layer.ends for layer in layers(ax) if layer.kind == "points"]
    return any((low < bottom).any() or (high > top).any() for low, high in filter(None, ends))


def _along(comparison: ArmComparison, level: float) -> pd.DataFrame:
    """The multipliers of the comparison's own law between and beyond its budgets."""
    result, ladder, table = comparison.result, comparison.ladder, comparison.multipliers
    assert result is not None and ladder is not None
    runs = comparison.runs.rename(columns={"arm": "_arm"})
    way = Way(at_best_splits(comparison), ladder, measured_by_arm(runs, comparison.arms))
    ends = (min(ladder.low, table["C"].min()), max(ladder.top, table["C"].max()))
    costs = np.unique([*np.geomspace(*ends, _GRID), *table["C"]])
    fits = [(str(table["floor"].iloc[0]), result)]
    along = multipliers_on_way(fits, comparison.arms, way, costs.tolist(), level)
    return along[np.isfinite(along["multiplier"])]


def _ends(multipliers: pd.DataFrame) -> list[float]:
    """The lowest and the highest end of the intervals: they say whether compute is saved."""
    ends = multipliers[["multiplier_lower", "multiplier_upper"]].to_numpy(float)
    ends = ends[np.isfinite(ends) & (ends > 0)].clip(1 / _WIDEST, _WIDEST)
    return [float(ends.min()), float(ends.max())] if len(ends) else []
