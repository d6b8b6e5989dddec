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
from matplotlib.colors import to_hex

from scalinglab.analysis.plot.labels import literal
from scalinglab.analysis.plot.style import BAND, INK

if TYPE_CHECKING:
    from matplotlib.artist import Artist
    from matplotlib.axes import Axes

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
