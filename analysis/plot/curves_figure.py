"""Loss against the training step under several schedules, with a law of curves."""

from __future__ import annotations

from collections.abc import Collection
from typing import TYPE_CHECKING, Any

import matplotlib as mpl
import numpy as np
import pandas as pd
from matplotlib.colors import to_hex
from matplotlib.lines import Line2D

from scalinglab.analysis.plot.frames import frame
from scalinglab.analysis.plot.labels import LOSS, SIZE, STEP
from scalinglab.analysis.plot.law_lines import LEVEL, interval_name
from scalinglab.analysis.plot.layers import layers, line, points
from scalinglab.analysis.plot.style import BAND, INK, Scale, axes, category, finish
from scalinglab.analysis.plot.ticks import loss_axis
from scalinglab.analysis.tables.powers import short

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from scalinglab.analysis.fitting.result import Result

_MARK = 0.6  # of a point, of the usual size
_FEW = 6  # schedules that have a colour of their own
_POINTS = 60  # of a curve that is drawn
_ALL_POINTS = 2000  # of all curves beside a law, shared by them where they are many
_START = 0.25  # of the steps: the height of the figure is that of the losses after it
_HIGHEST = 0.98  # quantile of those: one may be a spike
_REACH = 1.6  # times that height
# Of schedules, none of which is dashed: dashes are of what a law extrapolates.
STYLES: tuple[Any, ...] = ("-", "-.", ":", (0, (3, 1, 1, 1, 1, 1)))
_LINE = 200  # points of a measured line
_MANY = 200  # curves beyond which no line of a law is drawn, and a vector file has a picture


def curves(
    curves: pd.DataFrame,
    result: Result | None = None,
    *,
    held_out: Collection[str] = (),
    sizes: Collection[float] = (),
    level: float = LEVEL,
    ax: Axes | None = None,
) -> Axes:
    """Validation loss of runs at their steps; the end of each, where it cools down,
    fills the figure.

    Parameters
    ----------
    curves : DataFrame
        ``run, step, loss``, ``schedule`` and ``lr`` where known; see `analysis.load_curves`.
    result : Result, optional
        A law of curves: a line with its interval for each schedule.
    held_out : collection of str
        Schedules or runs that were not fitted.
    sizes : collection of float
        Further N that the scale of colours spans, so that it is that of other figures.
    level : float
    ax : Axes, optional

    Returns
    -------
    Axes
    """
    ax = axes() if ax is None else ax
    runs = list(curves.groupby("run", sort=False))
    groups = curve_groups(curves)
    by_size = "N" in curves and curves["N"].nunique() > 1 and (result is None or len(groups) > _FEW)
    scale = Scale([*curves["N"], *sizes]) if by_size else None
    law = result if len(runs) <= _MANY else None
    top = _height(curves[curves["loss"].notna()])
    in_legend: set[str] = set()
    for run, curve in runs:
        name = group_of(curve)
        k = groups.index(name)
        # Schedules with a common trunk lie upon each other: the lower line shows in the gaps.
        look = category(k) | {
            "ls": STYLES[k % len(STYLES)] if scale or len(groups) <= _FEW else "-"
        }
        if scale is not None:
            look["color"] = to_hex(scale(curve["N"].iloc[0]))
        new = name not in in_legend and (scale is None or len(groups) <= _FEW)
        in_legend.add(name)
        predicted = bool({name, str(run)} & {str(h) for h in held_out})
        title = name + (" (held out)" if predicted and law is not None else "")
        _curve(ax, curve, run, title, look, new, law, level, len(runs), top)
    for layer in layers(ax):
        layer.away = layer.values[1] > top
    ax.xaxis.set_major_formatter(lambda value, _: short(value) if value else "0")
    loss_axis(ax.yaxis)
    frame(ax, mark=False)
    if law is not None and len(law.draws):
        named = interval_name(level)
        ax.fill_between([], [], [], color="0.5", alpha=BAND, lw=0, label=named)
    if scale is not None:
        scale.bar(ax, SIZE)
    finish(ax, STEP, LOSS)
    _ink_legend(ax, scale)
    return ax


def group_of(curve: pd.DataFrame) -> str:
    """What a curve is named by: its schedule, else its run."""
    return str(
        curve[
            "schedule" if "schedule" in curve and curve["schedule"].notna().all() else "run"
        ].iloc[0]
    )


def curve_groups(curves: pd.DataFrame) -> list[str]:
    """Names of the curves' groups, in their order."""
    return list(dict.fromkeys(group_of(curve) for _, curve in curves.groupby("run", sort=False)))


def _curve(
    ax: Axes,
    curve: pd.DataFrame,
    run: Any,
    name: str,
    look: dict[str, Any],
    new: bool,
    result: Result | None,
    level: float,
    count: int,
    top: float,
) -> None:
    """One of `count` measured curves: its points beside a law, else a line."""
    measured = curve.loc[curve["loss"].notna(), ["step", "loss"]].assign(run_id=str(run))
    color, marker, ls = look["color"], look["marker"], look["ls"]
    if result is None:
        shown = measured.iloc[_some(len(measured), _LINE)]
        look = {"color": color, "lw": 1, "ls": ls, "rasterized": count > _MANY}
        line(ax, shown, "step", "loss", name, label=new, **look)
        return
    most = max(1, min(_POINTS, _ALL_POINTS // count))
    few = measured.iloc[_some(len(measured), most)]
    marks = points(
        ax, few, "step", "loss", name, color=color, marker=marker, size=_MARK, label=False
    )
    if new:  # the legend shows the line of the law, too: schedules differ in its dashes
        look = {"color": color, "marker": marker, "ls": ls, "lw": 1, "label": marks.name}
        look["ms"] = _MARK * mpl.rcParams["lines.markersize"]
        marks.artists.extend(ax.plot([], [], **look))
    drawn = _some(len(curve), 2 * _POINTS)
    predicted = np.asarray(result.predict(curve)["loss"])
    table = curve[["step"]].assign(loss=predicted)
    if len(result.draws):
        ends = result.band(curve, level)
        table = table.assign(
            loss_lower=np.asarray(ends["lower"]), loss_upper=np.asarray(ends["upper"])
        )
    law = f"law, {name}"
    # In the first steps, above the figure, its interval may reach anywhere.
    shown = table.iloc[drawn]
    line(
        ax, shown[shown["loss"] <= top], "step", "loss", law, color=color, label=False, lw=1, ls=ls
    )


def _some(count: int, most: int) -> np.ndarray:
    return np.unique(np.linspace(0, count - 1, min(count, most)).astype(int))


def _height(measured: pd.DataFrame) -> float:
    """The largest loss that is shown: the steep start is cut, so that the cooldown can be read.

    Counted in steps, as curves may be validated more often at their start.
    """
    losses = measured["loss"].to_numpy(float)
    late = measured["step"] >= _START * measured.groupby("run")["step"].transform("max")
    low = losses.min()
    return float(low + _REACH * (np.quantile(losses[late], _HIGHEST) - low))


def _ink_legend(ax: Axes, scale: Scale | None) -> None:
    """Where colours are sizes, the legend of schedules has none."""
    legend = ax.get_legend()
    if scale is None or legend is None:
        return
    for handle in legend.legend_handles:
        if isinstance(handle, Line2D):
            handle.set_color(INK)
