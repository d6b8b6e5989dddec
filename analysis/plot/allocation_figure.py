"""The best sizes and numbers of tokens of some budgets."""

from __future__ import annotations

from typing import TYPE_CHECKING

from scalinglab.analysis.plot.frames import frame
from scalinglab.analysis.plot.labels import COMPUTE
from scalinglab.analysis.plot.layers import line, points
from scalinglab.analysis.plot.style import axes, category, finish
from scalinglab.analysis.plot.ticks import log_axis
from scalinglab.analysis.tables.powers import power, short

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from scalinglab.analysis.decisions.allocation import Allocation

_SHOWN = {"N": "best N (parameters)", "D": "best D (tokens)"}


def allocation(splits: Allocation, *, ax: Axes | None = None) -> Axes:
    """N* and D* of each budget, with their intervals.

    Parameters
    ----------
    splits : Allocation
        From `analysis.allocate`.
    ax : Axes, optional

    Returns
    -------
    Axes
    """
    ax = axes() if ax is None else ax
    table = splits.table.sort_values("C", ignore_index=True)
    for k, (name, label) in enumerate(_SHOWN.items()):
        look = category(k)
        band_table = table[[c for c in ("C", name, f"{name}_lower", f"{name}_upper") if c in table]]
        if len(band_table) > 1:
            band = "interval" if k == 0 and f"{name}_lower" in band_table else ""
            line(
                ax,
                band_table,
                "C",
                name,
                label,
                color=look["color"],
                label=False,
                band=band,
                lw=1.2,
            )
        points(ax, band_table, "C", name, label, **look)
    log_axis(ax.xaxis, power)
    log_axis(ax.yaxis, short)
    frame(ax)
    return finish(ax, COMPUTE if splits.cost.startswith("C = 6 N D") else splits.cost, "best split")
