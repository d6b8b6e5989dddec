"""The figure of verdicts: lines through points over a logarithmic axis."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike

from scalinglab.analysis.plot.labels import decimal, literal

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_WIDTH = 4.7  # inches of a panel
_TICKS = 5  # different x, up to which each has its own tick
Line = tuple[str, ArrayLike, ArrayLike]  # label, x, y
Pane = tuple[str, Iterable[Line]]  # title, lines


def panels(
    drawn: Iterable[Pane],
    x: str,
    y: str,
    *,
    log_y: bool = False,
    marks: Mapping[str, float] | None = None,
    cut: bool = False,
) -> Figure:
    """One panel each of (title, lines), two in a row, on common axes: points joined by lines.

    Parameters
    ----------
    drawn : iterable of (title, lines)
        A line is (label, x values, y values); what is not finite is left out.
    x, y : str
        What the axes show; x is logarithmic.
    log_y : bool
    marks : mapping of str to float, optional
        Title of a panel -> an x that is marked there.
    cut : bool
        Whether values far above the rest, as losses of failed runs, are left out of the frame.
    """
    # matplotlib takes half a second to import: only drawing waits for it.
    from matplotlib.figure import Figure

    from scalinglab.analysis.plot.layers import line
    from scalinglab.analysis.plot.style import category, finish
    from scalinglab.analysis.plot.ticks import log_axis

    panes = [
        (title, [(label, np.asarray(u, float), np.asarray(v, float)) for label, u, v in lines])
        for title, lines in drawn
    ]
    rows, columns = -(-len(panes) // 2), min(len(panes), 2)
    figure = Figure(figsize=(_WIDTH * columns, 3.5 * rows), layout="constrained")
    axes = figure.subplots(rows, columns, squeeze=False, sharex=True, sharey=True).ravel()
    for spare in axes[len(panes) :]:
        spare.set_visible(False)
    frame = _frame([up for _, lines in panes for _, _, up in lines]) if cut else None
    for ax, (title, lines) in zip(axes[: len(panes)], panes, strict=True):
        for number, (label, across, up) in enumerate(lines):
            finite = np.isfinite(across) & np.isfinite(up)
            table = pd.DataFrame({"x": across[finite], "y": up[finite]})
            if title:
                table["panel"] = literal(title)
            look = category(number)
            line(ax, table, "x", "y", label, ms=4, lw=1, **look)
        log_axis(ax.xaxis, decimal)
        if marks is not None and title in marks:
            ax.axvline(marks[title], color="0.5", lw=1, ls="--")
        if log_y:
            log_axis(ax.yaxis, decimal)
        finish(ax, literal(x), literal(y), title=literal(title))
        ax.tick_params(labelbottom=True, labelleft=True)
    axes[0].set_ylim(frame)  # the others go along
    places = np.unique([v for _, lines in panes for _, across, _ in lines for v in across])
    if 0 < len(places) <= _TICKS:
        axes[0].set_xticks(places, [f"{v:,.6g}" for v in places])
        axes[0].set_xticks([], minor=True)
    return figure


def _frame(lines: list[np.ndarray]) -> tuple[float, float] | None:
    """From the lowest value to three times as far above it as half of them are; None: holds all."""
    values = np.concatenate(lines)
    values = values[np.isfinite(values)]
    if not len(values):
        return None
    low, height = values.min(), 3 * (np.median(values) - values.min())
    return (low - 0.05 * height, low + height) if values.max() > low + height else None
