"""Runs as they are, before any law."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pandas as pd

from scalinglab.analysis.plot.frames import frame
from scalinglab.analysis.plot.labels import COMPUTE, LOSS, SIZE
from scalinglab.analysis.plot.layers import points
from scalinglab.analysis.plot.style import Scale, axes, finish
from scalinglab.analysis.plot.ticks import log_axis, loss_axis
from scalinglab.analysis.tables.powers import power
from scalinglab.scaling.errors import UserError

if TYPE_CHECKING:
    from matplotlib.axes import Axes


def runs(table: pd.DataFrame, *, ax: Axes | None = None) -> Axes:
    """Loss of runs against compute; colours are sizes.

    Parameters
    ----------
    table : DataFrame
        ``N, D, loss``, and ``C`` if it is not 6 N D.
    ax : Axes, optional

    Returns
    -------
    Axes

    Raises
    ------
    UserError
        If no run has a size, tokens and a finite loss.
    """
    measured = table.reindex(columns=["run_id", "N", "D", "C", "loss"])
    measured = measured.dropna(subset=["N", "D", "loss"]).dropna(axis=1, how="all")
    if measured.empty:
        raise UserError("runs: none has N, D and a finite loss; there is nothing to draw")
    if "C" not in measured:
        measured = measured.assign(C=6 * measured["N"] * measured["D"])
    ax = axes() if ax is None else ax
    scale = Scale(measured["N"])
    points(ax, measured, "C", "loss", "runs", color=scale(measured["N"]))
    log_axis(ax.xaxis, power)
    loss_axis(ax.yaxis)
    frame(ax)
    scale.bar(ax, SIZE)
    return finish(ax, COMPUTE, LOSS)
