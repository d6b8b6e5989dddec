"""Loss against compute: the runs, the law at some sizes, and its frontier."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from matplotlib.colors import to_hex

from scalinglab.analysis.plot.frames import frame
from scalinglab.analysis.plot.labels import COMPUTE, LOSS, SIZE
from scalinglab.analysis.plot.law_lines import (
    LEVEL,
    far_from_law,
    frontier,
    inside_rows,
    interval_name,
    law_line,
    line_sizes,
    of_size_and_tokens,
    run_table,
)
from scalinglab.analysis.plot.layers import Layer, line, points
from scalinglab.analysis.plot.line_labels import label_starts
from scalinglab.analysis.plot.marks import HELD_OUT
from scalinglab.analysis.plot.style import Scale, axes, finish
from scalinglab.analysis.plot.ticks import log_axis, loss_axis
from scalinglab.analysis.tables.powers import power, short

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from scalinglab.analysis.fitting.result import Result

_ROOM = 1.6  # of compute, beyond the runs


def loss_against_compute(
    result: Result | None,
    runs: pd.DataFrame,
    *,
    held_out: pd.DataFrame | None = None,
    budgets: tuple[float, ...] = (),
    level: float = LEVEL,
    ax: Axes | None = None,
) -> Axes:
    """Loss of runs against C, the law at some sizes, and the law's least loss at each C.

    Parameters
    ----------
    result : Result or None
        A fit. Runs are shown alone without one, and of a law that reads more than N and D.
    runs : DataFrame
        With the columns that were fitted; colours are sizes.
    held_out : DataFrame, optional
        Runs that were not fitted.
    budgets : tuple of float
        Up to the largest of which the frontier is drawn.
    level : float
        Of the intervals of a new run, which every line has if the fit has resamples.
    ax : Axes, optional

    Returns
    -------
    Axes
    """
    ax = axes() if ax is None else ax
    lines: list[Layer] = []
    fitted = _at_compute(run_table(result, runs))
    held_out_runs = None
    if held_out is not None and not held_out.empty:
        held_out_runs = _at_compute(run_table(result, held_out))
    together = (
        fitted if held_out_runs is None else pd.concat([fitted, held_out_runs], ignore_index=True)
    )
    low = together["C"].min() / _ROOM
    high = max(together["C"].max() * _ROOM, *(b * 1.1 for b in budgets), 0)
    scale = Scale(together["N"])
    away = None if result is None else far_from_law(result, fitted)
    drawn = points(
        ax,
        fitted,
        "C",
        "loss",
        "runs" if result is None else "fitted runs",
        away=away,
        color=scale(fitted["N"]),
    )
    drawn.artists[0].set_label(drawn.name)
    if held_out_runs is not None:
        points(ax, held_out_runs, "C", "loss", "held-out runs", **HELD_OUT)
    if result is not None and away is not None and of_size_and_tokens(result):
        band = interval_name(level) if len(result.draws) else ""
        sizes = line_sizes(fitted[~away], held_out_runs)
        lines = size_lines(ax, result, together, sizes, scale, level)
        best = frontier(result, low, high, level)
        if len(best):
            is_inside = inside_rows(result, best)
            line(ax, best, "C", "loss", "best split", band=band, inside=is_inside, lw=1.8)
    log_axis(ax.xaxis, power)
    loss_axis(ax.yaxis)
    ax.set_xlim(low, high)
    frame(ax)
    label_starts(ax, lines, lambda layer: layer.name.removeprefix("law at "))
    scale.bar(ax, SIZE)
    return finish(ax, COMPUTE, LOSS)


def _at_compute(table: pd.DataFrame) -> pd.DataFrame:
    """Runs where the law's lines stand: records may count C by another convention than 6 N D."""
    return table.assign(C=6 * table["N"] * table["D"]) if {"N", "D"} <= set(table) else table


def size_lines(
    ax: Axes,
    result: Result,
    runs: pd.DataFrame,
    sizes: np.ndarray,
    scale: Scale,
    level: float,
) -> list[Layer]:
    """The law at some sizes, over about the compute that each was measured at.

    Only sizes that were trained for several numbers of tokens have a line, and held-out ones.
    """
    lines = []
    for n in sizes:
        tokens = runs.loc[runs["N"] == n, "D"]
        table = law_line(result, n, np.geomspace(tokens.min() / 2, tokens.max() * 2, 30), level)
        name = f"law at N = {short(n)}"
        color = to_hex(scale(n))
        look: dict[str, Any] = {"color": color, "label": False, "lw": 1, "strength": 0.6}
        layer = line(ax, table, "C", "loss", name, inside=inside_rows(result, table), **look)
        layer.away = layer.values[1] > runs["loss"].max()  # its steep start leaves the frame
        lines.append(layer)
    return lines
