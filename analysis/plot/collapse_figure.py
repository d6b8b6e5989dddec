"""Training curves of several sizes in units of their own: whether they fall on one curve."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from scalinglab.analysis.plot.frames import frame
from scalinglab.analysis.plot.labels import SIZE, decimal
from scalinglab.analysis.plot.layers import line
from scalinglab.analysis.plot.style import Scale, axes, finish
from scalinglab.analysis.plot.ticks import log_axis
from scalinglab.scaling.errors import UserError

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_POINTS = 200
_START = 0.05  # share of the training that is left out: the fall at the start fits no law


def collapse(curves: pd.DataFrame, floor: float = 0.0, *, ax: Axes | None = None) -> Axes:
    """Reducible loss over its last value against the share of the training (arXiv:2507.02119).

    Curves of well-scaled runs lie on each other; one that departs was trained differently, or
    something went wrong.

    Parameters
    ----------
    curves : DataFrame
        ``run, step, loss`` and ``N``; whole runs.
    floor : float
        The loss that nothing lowers, as E of a fitted law.
    ax : Axes, optional

    Returns
    -------
    Axes

    Raises
    ------
    UserError
        If a run ends at or below the floor.
    """
    ax = axes() if ax is None else ax
    scale = Scale(curves.get("N", [1.0]))
    for k, (run, curve) in enumerate(curves.groupby("run", sort=False)):
        measured = curve[curve["loss"].notna()].sort_values("step")
        last = float(measured["loss"].iloc[-1]) - floor
        if not last > 0:
            raise UserError(f"collapse: run {run!r} ends at or below the floor {floor:.4g}")
        shown_points = measured.iloc[
            np.unique(np.linspace(0, len(measured) - 1, _POINTS).astype(int))
        ]
        table = pd.DataFrame(
            {
                "run_id": str(run),
                "share": shown_points["step"].to_numpy(float) / float(curve["step"].max()),
                "collapsed": (shown_points["loss"].to_numpy(float) - floor) / last,
            }
        )
        table = table[table["share"] >= _START]
        color = scale(curve["N"].iloc[0]) if "N" in curve else scale(1.0)
        line(ax, table, "share", "collapsed", "runs", color=color, label=k == 0, lw=1)
    log_axis(ax.yaxis, decimal)
    frame(ax)
    scale.bar(ax, SIZE)
    unit = (
        f"(loss − {decimal(floor)}) / (last loss − {decimal(floor)})"
        if floor
        else "loss / last loss"
    )
    return finish(ax, "share of the training (step / last step)", unit, legend=False)
