"""What a figure shows, kept as tables: for files of its data, and for what a page shows on demand.

Everything is drawn through `points` and `line`, so no line can be without its interval where its
table has one.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary

import matplotlib as mpl
import numpy as np
import pandas as pd
from matplotlib.collections import PathCollection
from matplotlib.colors import to_hex
from matplotlib.patheffects import withStroke
from matplotlib.transforms import ScaledTranslation

from scalinglab.analysis.plot.labels import literal
from scalinglab.analysis.plot.marks import DASHES, EXTRAPOLATED, THIN_MARKERS
from scalinglab.analysis.plot.style import BAND, INK, figure_of

if TYPE_CHECKING:
    from matplotlib.artist import Artist
    from matplotlib.axes import Axes
    from matplotlib.transforms import Transform

PLACE = "_place"  # column: where a name stands on an axis of names
_MANY = 600  # points or lines beyond which a vector file keeps them as one picture
_CROWDED = 250  # points, beyond which they are drawn smaller and below the lines


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
    color : colour
        Of a line.
    aside : float
        Typographic points to the right of its x, at which it is drawn: marks at one place stand
        beside each other, and the table keeps their x.
    """

    name: str
    table: pd.DataFrame
    x: str
    y: str
    kind: str
    artists: list[Artist] = field(default_factory=list)
    away: np.ndarray | None = None
    bar_color: Any = None
    color: Any = INK
    aside: float = 0.0

    @property
    def columns(self) -> list[Any]:
        """The columns of its table that are data: all but places of names along an axis."""
        return [name for name in self.table if name != PLACE]

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
    inside: np.ndarray | None = None,
    aside: float = 0.0,
) -> Layer:
    """Points, with a bar each where the table has an interval: dashed where it is not `inside`.

    They are drawn `aside` typographic points to the right of their x.
    """
    layer = Layer(
        literal(name), table.reset_index(drop=True), x, y, "points", away=away, aside=aside
    )
    at, value = layer.values
    crowded = min(1.0, (_CROWDED / max(len(table), 1)) ** 0.4)
    area = (mpl.rcParams["lines.markersize"] * size * crowded) ** 2
    look: dict[str, Any] = (
        {"color": color} if isinstance(color, str) or color is None else {"c": color}
    )
    if marker in THIN_MARKERS:
        look |= {"linewidths": 1.6, "path_effects": [withStroke(linewidth=2.8, foreground="white")]}
    else:
        look |= {"edgecolors": edge, "linewidths": 0.4 * crowded if edge == "white" else 1.0}
    artist = ax.scatter(
        at,
        value,
        s=area,
        marker=marker,
        label=layer.name if label else "_",
        zorder=3.5 if crowded == 1 else 2,  # a law's line stands above a cloud
        alpha=alpha,
        rasterized=len(table) > _MANY,
        **look,
    )
    layer.artists.append(artist)
    if bars and layer.ends is not None:
        _bars(ax, layer, np.asarray(artist.get_facecolor()), inside)
    _move_aside(ax, layer)
    layers(ax).append(layer)
    return layer


def moved(ax: Axes, transform: Transform, aside: float) -> Transform:
    """A transform that ends `aside` typographic points farther right."""
    if not aside:
        return transform
    return transform + ScaledTranslation(aside / 72, 0, figure_of(ax).dpi_scale_trans)


def _move_aside(ax: Axes, layer: Layer) -> None:
    """Move what is drawn of a layer, after its true places have set the limits of the axes."""
    if not layer.aside:
        return
    transform = moved(ax, ax.transData, layer.aside)
    for artist in layer.artists:
        if isinstance(artist, PathCollection):
            artist.set_offset_transform(transform)
        else:
            artist.set_transform(transform)


def _bars(ax: Axes, layer: Layer, colors: np.ndarray, inside: np.ndarray | None) -> None:
    """The intervals of points."""
    assert layer.ends is not None
    (at, _), (low, high) = layer.values, layer.ends
    layer.bar_color = to_hex(colors[0]) if len(colors) == 1 else INK
    has_interval = np.isfinite(low) & np.isfinite(high)
    is_inside = np.ones(len(at), bool) if inside is None else np.asarray(inside, bool)
    for rows in (has_interval & is_inside, has_interval & ~is_inside):
        if rows.any():
            color = colors if len(colors) == 1 else colors[rows]
            bars = ax.vlines(at[rows], low[rows], high[rows], color=color, lw=1.4, zorder=3)
            if not is_inside[rows].any():
                bars.set_linestyle(DASHES)
            layer.artists.append(bars)


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
    inside: np.ndarray | None = None,
    aside: float = 0.0,
    **style: Any,
) -> Layer:
    """A line, with a band where the table has an interval; `band` names it in the legend.

    Between rows of which one is not `inside` the fitted range, the line is dashed. It is drawn
    `aside` typographic points to the right of its x.
    """
    layer = Layer(
        literal(name), table.reset_index(drop=True), x, y, "line", color=color, aside=aside
    )
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
    style |= {"color": color, "zorder": 2.5}
    is_inside = np.ones(len(at), bool) if inside is None else np.asarray(inside, bool)
    solid = is_inside[:-1] & is_inside[1:]
    drawn = ax.plot(
        *(_stretches(at, value, solid) if inside is not None else (at, value)),
        label=layer.name if label else "_",
        **style,
    )
    if not solid.all():
        is_named = any(other.get_label() == EXTRAPOLATED for other in ax.lines)
        named = f"_{EXTRAPOLATED}" if is_named else EXTRAPOLATED
        dashed = style | {"ls": DASHES, "marker": ""}
        drawn += ax.plot(*_stretches(at, value, ~solid), label=named, **dashed)
    layer.artists.extend(drawn)
    _move_aside(ax, layer)
    layers(ax).append(layer)
    return layer


def _stretches(at: np.ndarray, value: np.ndarray, drawn: np.ndarray) -> tuple[Any, Any]:
    """Those segments of a line that are `drawn`, with a gap between stretches."""
    places: list[np.ndarray] = []
    edges = np.flatnonzero(np.diff(np.concatenate([[False], drawn, [False]]).astype(int)))
    for start, end in edges.reshape(-1, 2):
        part = np.stack([at[start : end + 1], value[start : end + 1]])
        places += [part, np.full((2, 1), np.nan)]
    x, y = np.concatenate(places[:-1], axis=1) if places else np.empty((2, 0))
    return x, y
