"""The learning rate of every step of some schedules."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from scalinglab.analysis.plot.curves_figure import STYLES, curve_groups, group_of
from scalinglab.analysis.plot.labels import RATE, STEP
from scalinglab.analysis.plot.layers import line
from scalinglab.analysis.plot.style import axes, category, finish
from scalinglab.analysis.tables.powers import short

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_POINTS = 400


def learning_rates(curves: pd.DataFrame, *, ax: Axes | None = None) -> Axes:
    """The learning rate against the step, a line a schedule.

    Parameters
    ----------
    curves : DataFrame
        ``run, step, lr`` and ``schedule`` where known.
    ax : Axes, optional

    Returns
    -------
    Axes
    """
    ax = axes() if ax is None else ax
    groups = curve_groups(curves)
    drawn: set[tuple] = set()
    for _, curve in curves.groupby("run", sort=False):
        name = group_of(curve)
        rates = curve["lr"].to_numpy(float)
        if (same := (name, len(curve), float(rates.max()))) in drawn:
            continue  # of another size or seed
        new = name not in {name_drawn for name_drawn, *_ in drawn}
        drawn.add(same)
        places = np.unique(np.linspace(0, len(curve) - 1, _POINTS).astype(int))
        look = category(groups.index(name))
        # Schedules that agree up to a step lie upon each other: the lower shows in the gaps.
        style = STYLES[groups.index(name) % len(STYLES)]
        line(
            ax,
            curve[["step", "lr"]].iloc[places],
            "step",
            "lr",
            name,
            color=look["color"],
            label=new,
            lw=1.4,
            ls=style,
        )
    ax.xaxis.set_major_formatter(lambda value, _: short(value) if value else "0")
    ax.set_ylim(bottom=0)
    return finish(ax, STEP, RATE, legend=len(groups) <= 12)
