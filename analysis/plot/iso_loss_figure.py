"""Lines of equal loss over size and tokens, with the path of best splits."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from matplotlib.ticker import MaxNLocator

from scalinglab.analysis.plot.labels import LOSS, SIZE, TOKENS, decimal
from scalinglab.analysis.plot.law_lines import LEVEL, law_line
from scalinglab.analysis.plot.layers import line, points
from scalinglab.analysis.plot.marks import BUDGET
from scalinglab.analysis.plot.split_path import SplitPath, split_path
from scalinglab.analysis.plot.style import BAND, INK, axes, colour_map, finish
from scalinglab.analysis.plot.ticks import log_axis
from scalinglab.analysis.tables.powers import short

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from scalinglab.analysis.fitting.result import Result

_GRID = 48
_LINE = 24
_LEVELS = 9
_TICKS = 6  # of the colour bar
_ROOM = 1.6


def iso_loss(
    result: Result,
    runs: pd.DataFrame,
    budgets: Iterable[float] = (),
    *,
    level: float = LEVEL,
    ax: Axes | None = None,
) -> Axes:
    """The law's loss over N and D, the best split of each budget with its interval, and the runs.

    Parameters
    ----------
    result : Result
        A fit of a law in N and D.
    runs : DataFrame
        The fitted runs.
    budgets : iterable of float
        Each is drawn as a line of equal compute, with its best split.
    level : float
        Of the interval of the best split, along lines of equal compute.
    ax : Axes, optional

    Returns
    -------
    Axes

    Raises
    ------
    UserError
        If the law is not one of N and D.
    """
    return draw_iso_loss(result, split_path(result, runs, budgets, level=level), ax=ax)


def draw_iso_loss(result: Result, splits: SplitPath, *, ax: Axes | None = None) -> Axes:
    """Draw the loss of a law around a path of best splits that several figures share."""
    ax = axes(ratio=0.75) if ax is None else ax
    places = pd.concat([splits.runs, splits.path])
    ends = [(places[name].min() / _ROOM, places[name].max() * _ROOM) for name in ("N", "D")]
    _surface(ax, result, ends)
    if len(splits.path):
        _path(ax, splits)
    for cost in splits.budgets["C"]:
        size = np.geomspace(*ends[0], _LINE)
        ax.plot(size, cost / (6 * size), color="white", lw=1.1, ls=":", zorder=2)
    points(ax, splits.runs, "N", "D", "runs", color="white", size=0.8, edge=INK)
    if len(splits.budgets):
        points(
            ax,
            splits.budgets,
            "N",
            "D",
            "budgets of the answer (dotted)",
            bars=False,
            **BUDGET,
        )
    log_axis(ax.xaxis, short)
    log_axis(ax.yaxis, short)
    ax.set_xlim(*ends[0])
    ax.set_ylim(*ends[1])
    return finish(ax, SIZE, TOKENS)


def _surface(ax: Axes, result: Result, ends: list[tuple[float, float]]) -> None:
    """Filled steps of equal loss, closer where the loss is low."""
    N, D = np.meshgrid(*(np.geomspace(*end, _GRID) for end in ends))
    losses = law_line(result, N.ravel(), D.ravel(), None)["loss"].to_numpy().reshape(N.shape)
    floor, top = np.nanmin(losses), np.nanquantile(losses, 0.97)
    levels = floor + (top - floor) * np.linspace(0, 1, 2 * _LEVELS) ** 1.6
    drawn = ax.contourf(N, D, losses, levels=levels, cmap=colour_map().reversed(), extend="max")
    ax.contour(N, D, losses, levels=levels, colors="white", linewidths=0.35, alpha=0.7)
    bar = ax.figure.colorbar(drawn, ax=ax, pad=0.02, aspect=28, format=lambda v, _: decimal(v, 4))
    ticks = MaxNLocator(_TICKS, steps=[1, 2, 2.5, 5, 10]).tick_values(floor, top)
    bar.set_ticks([tick for tick in ticks if floor <= tick <= top])
    bar.ax.minorticks_off()
    bar.set_label(LOSS)
    bar.outline.set_visible(False)


def _path(ax: Axes, splits: SplitPath) -> None:
    """Best splits, and where they may lie: each moves along its own line of equal compute."""
    path = splits.path
    if "N_lower" in path:
        with_interval = path.dropna(subset=["N_lower", "N_upper"])
        lower, upper = (
            with_interval["N_lower"].to_numpy(float),
            with_interval["N_upper"].to_numpy(float),
        )
        cost = with_interval["C"].to_numpy(float)
        edge = np.concatenate([lower, upper[::-1]])
        paid = np.concatenate([cost / (6 * lower), (cost / (6 * upper))[::-1]])
        ax.fill(
            edge,
            paid,
            facecolor=("white", 2 * BAND),
            edgecolor=INK,
            lw=0.5,
            zorder=1.8,
            label=f"{splits.level:.0%} interval of the best split",
        )
    shown = path[["C", "N", "D", "loss"]]
    line(ax, shown, "N", "D", "best split", color=INK, inside=splits.inside, lw=1.8)
