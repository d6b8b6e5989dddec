"""What a figure shows, kept as tables: for files of its data, and for what a page shows on demand.

Everything is drawn through `points` and `line`, so no line can be without its interval where its
table has one.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary

import matplotlib as mpl
import numpy as np
import pandas as pd
from matplotlib.colors import to_hex

from scalinglab.analysis.plot.labels import literal
from scalinglab.analysis.plot.style import (
    BAND,
    HELD_OUT,
    INK,
    SHADE,
    SHADE_ALPHA,
    SMALL,
    figure_of,
)

if TYPE_CHECKING:
    from matplotlib.artist import Artist
    from matplotlib.axes import Axes

_MANY = 600  # points or lines beyond which a vector file keeps them as one picture
_CROWDED = 250  # points, beyond which they are drawn smaller and below the lines
_MARK_ROOM = 1.12  # times a place, where the shade beyond it begins on a logarithmic axis
_NAMED = 3  # values written at the edge of a figure
_WIDE = 3.5  # inches
_ROOM = 0.04  # of the height, around what is shown
_TEXT_EMS = 1.6  # height of a text at the edge, with its gap, in sizes of the font
_FAR = 0.2  # of the height of the data, that an interval may add on either side by default


@dataclass
class Layer:
    """One thing that a figure shows.

    Attributes
    ----------
    name : str
        As in the legend; without an underscore in front if it is not there.
    table : DataFrame
    x, y : str
        Columns of the table; an interval of y is in ``y_lower`` and ``y_upper``.
    kind : "points" or "line"
    artists : list
    away : array or None
        Points that may lie outside the frame.
    bar_color : colour or None
        Of the bars for the intervals of its points; None if it has none.
    """

    name: str
    table: pd.DataFrame
    x: str
    y: str
    kind: str
    artists: list[Artist] = field(default_factory=list)
    away: np.ndarray | None = None
    bar_color: Any = None

    @property
    def values(self) -> tuple[np.ndarray, np.ndarray]:
        """Its x and y."""
        return self.table[self.x].to_numpy(float), self.table[self.y].to_numpy(float)

    @property
    def ends(self) -> tuple[np.ndarray, np.ndarray] | None:
        """The interval of y, where there is one."""
        low, high = f"{self.y}_lower", f"{self.y}_upper"
        if low not in self.table or self.table[[low, high]].isna().all(axis=None):
            return None
        return self.table[low].to_numpy(float), self.table[high].to_numpy(float)


_LAYERS: WeakKeyDictionary[Axes, list[Layer]] = WeakKeyDictionary()


def layers(ax: Axes) -> list[Layer]:
    """What was drawn on some axes, in order."""
    return _LAYERS.setdefault(ax, [])


def points(
    ax: Axes,
    table: pd.DataFrame,
    x: str,
    y: str,
    name: str = "",
    *,
    away: np.ndarray | None = None,
    color: Any = None,
    marker: str = "o",
    size: float | np.ndarray = 1.0,
    label: bool = True,
    bars: bool = True,
    alpha: float = 1.0,
    edge: str = "white",
) -> Layer:
    """Points, with a bar each where the table has an interval."""
    layer = Layer(literal(name), table.reset_index(drop=True), x, y, "points", away=away)
    at, value = layer.values
    crowded = min(1.0, (_CROWDED / max(len(table), 1)) ** 0.4)
    area = (mpl.rcParams["lines.markersize"] * size * crowded) ** 2
    colours = {"color": color} if isinstance(color, str) or color is None else {"c": color}
    artist = ax.scatter(
        at,
        value,
        s=area,
        marker=marker,
        label=layer.name if label else "_",
        edgecolors=edge,
        linewidths=0.4 * crowded,
        zorder=3.5 if crowded == 1 else 2,  # a law's line stands above a cloud
        alpha=alpha,
        rasterized=len(table) > _MANY,
        **colours,
    )
    layer.artists.append(artist)
    if bars and layer.ends is not None:
        low, high = layer.ends
        colors = artist.get_facecolor()
        layer.bar_color = to_hex(colors[0]) if len(colors) == 1 else INK
        has_interval = np.isfinite(low) & np.isfinite(high)
        layer.artists.append(
            ax.vlines(
                at[has_interval],
                low[has_interval],
                high[has_interval],
                color=artist.get_facecolor(),
                lw=1.4,
                zorder=3,
            )
        )
    layers(ax).append(layer)
    return layer


def line(
    ax: Axes,
    table: pd.DataFrame,
    x: str,
    y: str,
    name: str = "",
    *,
    color: Any = INK,
    label: bool = True,
    band: str = "",
    strength: float = 1.0,
    **style: Any,
) -> Layer:
    """A line, with a band where the table has an interval; `band` names it in the legend."""
    layer = Layer(literal(name), table.reset_index(drop=True), x, y, "line")
    at, value = layer.values
    if layer.ends is not None:
        low, high = layer.ends
        layer.artists.append(
            ax.fill_between(
                at,
                low,
                high,
                color=color,
                alpha=BAND * strength,
                lw=0,
                zorder=1.5,
                label=band or "_",
            )
        )
    drawn = ax.plot(at, value, color=color, label=layer.name if label else "_", zorder=2.5, **style)
    layer.artists.extend(drawn)
    layers(ax).append(layer)
    return layer


def beyond(ax: Axes, start: float, name: str = "beyond the runs", way: int = 1) -> None:
    """Shade what lies beyond a place along x: above it, or below it with ``way=-1``.

    The shade begins half a mark farther: what stands at the place, or beside it by rounding, is
    not beyond.
    """
    low, high = ax.get_xlim()
    end = high if way > 0 else low
    if ax.get_xscale() == "log":
        start *= _MARK_ROOM**way
    if (end - start) * way <= 0:
        return
    ax.axvspan(start, end, color=SHADE, alpha=SHADE_ALPHA, lw=0, zorder=0, label=name)
    ax.set_xlim(low, high)


def frame(
    ax: Axes,
    log: bool = True,
    mark: bool = True,
    far: float = _FAR,
    hold: Sequence[float] = (),
) -> None:
    """Limits that hold all but runs far from the rest,
    which are marked at the edge with their value.

    One run that diverged would else press all others into a line; so would an interval that
    reaches far: it may add `far` times the height of the data on either side, and a bar that goes
    on beyond the edge ends there in an arrow. With ``mark=False`` what lies outside is no mistake:
    the start of a curve. The values `hold` are in the frame in any case.
    """
    scale, back = (np.log, np.exp) if log else (np.asarray, np.asarray)
    inner, ends = [], []
    for layer in layers(ax):
        _, value = layer.values
        keep = np.isfinite(value) & ((value > 0) | (not log))
        if layer.away is not None:
            keep &= ~layer.away
        inner.append(scale(value[keep]))
        if layer.ends is not None:
            both = np.concatenate(layer.ends)
            ends.append(scale(both[np.isfinite(both) & ((both > 0) | (not log))]))
    values = np.concatenate([*inner, scale(np.asarray(hold, float))])
    if len(values) == len(hold):
        return
    low, high = values.min(), values.max()
    height = (high - low) or abs(high) * 0.05 or 1.0
    reach = np.concatenate([*ends, values])
    low, high = max(reach.min(), low - far * height), min(reach.max(), high + far * height)
    margin = _ROOM * ((high - low) or height)
    if mark:
        low, high = _with_margins(ax, low - margin, high + margin, scale)
    else:
        low, high = low - margin, high + margin
    bottom, top = float(back(low)), float(back(high))
    ax.set_ylim(bottom, top)
    if mark:
        _mark(ax, bottom, top)


def _with_margins(ax: Axes, low: float, high: float, scale: Any) -> tuple[float, float]:
    """Limits with room for a line of text, free of points, where points lie outside."""
    shown = [scale(layer.values[1]) for layer in layers(ax) if layer.kind == "points"]
    values = np.concatenate(shown) if shown else np.empty(0)
    axis_height = figure_of(ax).get_figheight() * 72 * ax.get_position().height
    room = (high - low) * _TEXT_EMS * mpl.rcParams["font.size"] / axis_height
    return (
        low - room if (values < low).any() else low,
        high + room if (values > high).any() else high,
    )


def arrows(ax: Axes, at: Any, low: Any, high: Any, color: Any) -> None:
    """Arrows at the edges of a frame, where bars from `low` to `high` go on beyond it."""
    bottom, top = ax.get_ylim()
    for ends, edge, marker in (
        (np.asarray(high) > top, 1.0, 6),
        (np.asarray(low) < bottom, 0.0, 7),
    ):
        if not ends.any():
            continue
        ax.plot(
            np.asarray(at)[ends],
            np.full(ends.sum(), edge),
            linestyle="none",
            marker=marker,  # a caret with its tip at the edge
            transform=ax.get_xaxis_transform(),
            color=color,
            ms=0.8 * mpl.rcParams["lines.markersize"],
            zorder=4,
            label="_goes on",
            clip_on=False,
        )


def _mark(ax: Axes, bottom: float, top: float) -> None:
    for layer in layers(ax):
        if layer.bar_color is not None and layer.ends is not None:
            arrows(ax, layer.values[0], *layer.ends, layer.bar_color)
    _mark_outside(ax, bottom, top)


def _mark_outside(ax: Axes, bottom: float, top: float) -> None:
    """Points outside the frame: a triangle at the edge, and the value of a few."""
    for up in (True, False):
        places, values = [], []
        for layer in layers(ax):
            if layer.kind != "points":
                continue
            at, value = layer.values
            outside = (value > top) | np.isposinf(value) if up else value < bottom
            places += list(at[outside])
            values += list(value[outside])
        if not places:
            continue
        ax.plot(
            places,
            np.full(len(places), 0.985 if up else 0.015),
            "^" if up else "v",
            transform=ax.get_xaxis_transform(),
            color=HELD_OUT,
            ms=mpl.rcParams["lines.markersize"],
            zorder=5,
            label="_beyond",
            clip_on=False,
        )
        written = [f"{v:.3g}" for v in values[: _NAMED if _wide(ax) else 1]]
        more = f" and {len(values) - len(written)} more" if len(values) > len(written) else ""
        _edge_text(ax, places, f"outside: {', '.join(written)}{more}", up)


def _wide(ax: Axes) -> bool:
    return ax.get_position().width * figure_of(ax).get_figwidth() > _WIDE


def _edge_text(ax: Axes, places: list[float], text: str, up: bool) -> None:
    """One text at an edge, on the side of the marks that has more room."""
    to_axes = ax.transData + ax.transAxes.inverted()
    across = [to_axes.transform((x, 1.0))[0] for x in places]
    right = 1 - max(across) > min(across)
    ax.annotate(
        text,
        (max(across) if right else min(across), 0.985 if up else 0.015),
        (6 if right else -6, 0),
        xycoords="axes fraction",
        textcoords="offset points",
        ha="left" if right else "right",
        va="top" if up else "bottom",
        fontsize=SMALL * mpl.rcParams["font.size"],
        color=HELD_OUT,
        zorder=6,  # above points
        annotation_clip=False,
        # Legible where it lies upon points.
        bbox={"facecolor": "white", "alpha": 0.75, "linewidth": 0, "pad": 0.5},
    )
