"""The learning rate of every step of some schedules."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from scalinglab.analysis.plot.curves_figure import curve_groups, group_of
from scalinglab.analysis.plot.labels import RATE, STEP, short
from scalinglab.analysis.plot.layers import line
from scalinglab.analysis.plot.style import axes, category, finish

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
    seen: set[tuple] = set()
    for _, own in curves.groupby("run", sort=False):
        name = group_of(own)
        rates = own["lr"].to_numpy(float)
        if (same := (name, len(own), float(rates.max()))) in seen:
            continue  # of another size or seed
        new = name not in {known for known, *_ in seen}
        seen.add(same)
        kept = np.unique(np.linspace(0, len(own) - 1, _POINTS).astype(int))
        look = category(groups.index(name))
        line(
            ax,
            own[["step", "lr"]].iloc[kept],
            "step",
            "lr",
            name,
            color=look["color"],
            label=new,
            lw=1.4,
        )
    ax.xaxis.set_major_formatter(lambda value, _: short(value) if value else "0")
    ax.set_ylim(bottom=0)
    return finish(ax, STEP, RATE, legend=len(groups) <= 12)
