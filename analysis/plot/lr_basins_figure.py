"""Loss against the learning rate at each size, and where its lowest point moves."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from matplotlib.colors import to_hex

from scalinglab.analysis.decisions.parabola import Optimum, nearest, optimum
from scalinglab.analysis.plot.frames import frame, loss_of_failure
from scalinglab.analysis.plot.labels import INPUTS, LOSS, RATE, decimal
from scalinglab.analysis.plot.law_lines import LEVEL
from scalinglab.analysis.plot.layers import line, points
from scalinglab.analysis.plot.marks import MINIMUM
from scalinglab.analysis.plot.style import INK, Scale, axes, category, finish
from scalinglab.analysis.plot.ticks import log_axis, loss_axis
from scalinglab.analysis.tables.powers import short
from scalinglab.analysis.tables.typed import groups_of
from scalinglab.scaling.errors import UserError

if TYPE_CHECKING:
    from matplotlib.axes import Axes


def lr_basins(
    runs: pd.DataFrame,
    *,
    x: str = "lr",
    by: str = "N",
    scatter: Mapping[Any, float | None] | None = None,
    level: float = LEVEL,
    ax: Axes | None = None,
) -> Axes:
    """Loss against the learning rate, a colour a size, with each size's optimum and their drift.

    Parameters
    ----------
    runs : DataFrame
        ``lr, N, loss``; losses of diverged runs may be infinite.
    x, by : str
        Another setting than the learning rate, another axis than the size: of names instead of
        numbers, each has its colour and marker.
    scatter : mapping, optional
        Value of `by` -> relative standard deviation of a loss over seeds, where it is known better
        than from the sweep of that value alone.
    level : float
        Of the intervals of the optima.
    ax : Axes, optional

    Returns
    -------
    Axes

    Raises
    ------
    UserError
        If no run has a finite loss.
    """
    ax = axes() if ax is None else ax
    columns = [name for name in ("run_id", by, x, "loss") if name in runs]
    table = runs[columns].reset_index(drop=True)
    loss = table["loss"].to_numpy(float)
    if not np.isfinite(loss).any():
        raise UserError("no run has a finite loss")
    away = pd.Series(~(loss <= loss_of_failure(loss)), table.index)
    sweeps: dict[Any, pd.DataFrame] = dict(groups_of(table, by, sort=False))
    scale = Scale(table[by]) if pd.api.types.is_numeric_dtype(table[by]) else None
    looks = {value: category(k) for k, value in enumerate(sweeps)}
    if scale is not None:
        points(ax, table, x, "loss", "runs", color=scale(table[by]), away=away.to_numpy(), size=0.9)
        looks = {value: {"color": to_hex(scale(value))} for value in sweeps}
    optima = []
    for value in sorted(sweeps) if scale is not None else sweeps:
        sweep, color = sweeps[value], looks[value]["color"]
        name = f"{by} = {short(value)}" if scale is not None else str(value)
        if scale is None:
            out = away[sweep.index].to_numpy()
            points(ax, sweep, x, "loss", name, away=out, size=0.9, **looks[value])
        best = _optimum(sweep, x, level, (scatter or {}).get(value))
        if best is None:
            means = sweep[np.isfinite(sweep["loss"])].groupby(x)["loss"].mean().reset_index()
            ax.plot(means[x], means["loss"], color=color, lw=0.8, ls=":", zorder=2)
            continue
        drawn = {"color": color, "label": False, "lw": 1.1}
        line(ax, _parabola(best, sweep, x), x, "loss", f"parabola, {name}", **drawn)
        ends = {"lower": best.lower, "upper": best.upper}
        optima.append({by: value, x: best.x, "loss": best.loss, **ends})
    if optima:
        _drift(ax, pd.DataFrame(optima), x, joined=scale is not None)
    log_axis(ax.xaxis, decimal)
    loss_axis(ax.yaxis)
    if scale is not None:
        scale.bar(ax, INPUTS.get(by, by), powers=False)
    frame(ax)  # last: what it writes has the room that the bar leaves
    return finish(ax, RATE if x == "lr" else x, LOSS)


def _optimum(sweep: pd.DataFrame, x: str, level: float, scatter: float | None) -> Optimum | None:
    try:
        best = optimum(sweep[x], sweep["loss"], scatter=scatter, level=level)
    except UserError:
        return None
    return None if best.edge else best


def _parabola(best: Optimum, sweep: pd.DataFrame, x: str) -> pd.DataFrame:
    """The parabola over the values it goes through, with the scatter of a run about it."""
    near_optimum = nearest(sweep, x)[x]
    grid = np.geomspace(near_optimum.min(), near_optimum.max(), 40)
    losses = best.loss * np.exp(best.excess(grid))
    table = pd.DataFrame({x: grid, "loss": losses})
    if np.isfinite(best.scatter):
        half = np.exp(2 * best.scatter)
        table = table.assign(loss_lower=losses / half, loss_upper=losses * half)
    return table


def _drift(ax: Axes, optima: pd.DataFrame, x: str, joined: bool) -> None:
    """The optima with their intervals along x, joined from small to large."""
    drawn = line(
        ax,
        optima,
        x,
        "loss",
        "optima" + ", small to large" * joined,
        color=INK,
        lw=1.3 if joined else 0.0,
        marker=MINIMUM["marker"],
        ms=4,
    )
    with_interval = optima.dropna(subset=["lower", "upper"])
    drawn.artists.append(
        ax.hlines(
            with_interval["loss"],
            with_interval["lower"],
            with_interval["upper"],
            color=INK,
            lw=1,
            zorder=3,
        )
    )
