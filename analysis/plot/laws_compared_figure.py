"""Laws compared by what they predict without having seen it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from scalinglab.analysis.plot.frames import frame
from scalinglab.analysis.plot.labels import ERROR, literal
from scalinglab.analysis.plot.layers import points
from scalinglab.analysis.plot.style import axes, category, finish

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from scalinglab.analysis.judgement.comparison import Comparison

_MOST = 6  # laws, the best first: more cannot be told apart


def laws_compared(comparison: Comparison, *, ax: Axes | None = None) -> Axes:
    """Predicted over measured, minus one, of held-out points: a colour a law, the best first.

    Parameters
    ----------
    comparison : Comparison
        From `analysis.compare_laws`.
    ax : Axes, optional

    Returns
    -------
    Axes
    """
    ax = axes() if ax is None else ax
    table = comparison.predictions
    table = table.assign(percent=100 * (table["predicted"] / table["measured"] - 1))
    ax.axhline(0, color="0.45", lw=0.8, zorder=1.6)
    for k, name in enumerate(comparison.table.index[:_MOST]):
        of_law = table.loc[table["law"] == name, ["measured", "percent"]]
        points(ax, of_law, "measured", "percent", literal(name), **category(k))
    frame(ax, log=False)
    return finish(ax, "measured loss, held out (nats/token)", f"{ERROR} (%)")
