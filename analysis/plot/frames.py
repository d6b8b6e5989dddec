"""The frame of a figure: its limits and what is marked at its edges."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import matplotlib as mpl
import numpy as np

from scalinglab.analysis.plot.labels import decimal
from scalinglab.analysis.plot.layers import layers, moved
from scalinglab.analysis.plot.marks import BEYOND, BEYOND_COLOR
from scalinglab.analysis.plot.style import SMALL, figure_of, room_above

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_NAMED = 3  # values written at the edge of a figure
_WIDE = 3.5  # inches
_ROOM = 0.04  # of the height, around what is shown
_FAR = 0.2  # of the height of the data, that an interval may add on either side by default
_HEIGHTS = 3.0  # of the median above the lowest loss
_CHARACTER = 0.6  # its width in sizes of the font, on average
_TEXT_EMS = 1.6  # height of a text at the edge, with its gap, in sizes of the font


def loss_of_failure(losses: np.ndarray, heights: float = _HEIGHTS) -> float:
    """The loss above which a run went wrong, and is marked at the edge of its figure.

    Parameters
    ----------
    losses : array
        Some are finite.
    heights : float
        How many times the median's height above the lowest is too high.
    """
    finite = losses[np.isfinite(losses)]
    return float(finite.min() + heights * (np.median(finite) - finite.min()))


def frame(
    ax: Axes,
    log: bool = True,
    mark: bool = True,
    far: float = _FAR,
    hold: Sequence[float] | np.ndarray = (),
) -> None:
    """Limits that hold all but runs far from the rest, marked at the edge with their values.

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


def arrows(ax: Axes, at: Any, low: Any, high: Any, color: Any, aside: float = 0.0) -> None:
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
            transform=moved(ax, ax.get_xaxis_transform(), aside),
            color=color,
            ms=0.8 * mpl.rcParams["lines.markersize"],
            zorder=4,
            label="_goes on",
            clip_on=False,
        )


def _mark(ax: Axes, bottom: float, top: float) -> None:
    for layer in layers(ax):
        if layer.bar_color is not None and layer.ends is not None:
            arrows(ax, layer.values[0], *layer.ends, layer.bar_color, layer.aside)
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
            BEYOND[0 if up else 1],
            transform=ax.get_xaxis_transform(),
            color=BEYOND_COLOR,
            ms=mpl.rcParams["lines.markersize"],
            zorder=5,
            label="_beyond",
            clip_on=False,
        )
        endless = "diverged" if any(layer.y == "loss" for layer in layers(ax)) else "infinite"
        texts = _outside_texts(values, _NAMED if _wide(ax) else 1, endless)
        _edge_text(ax, places, texts, up)


def _wide(ax: Axes) -> bool:
    return ax.get_position().width * figure_of(ax).get_figwidth() > _WIDE


def _outside_texts(values: list[float], most: int, endless: str) -> list[str]:
    """What lies outside, with the values of `most` of them; then shorter."""
    finite = [value for value in values if np.isfinite(value)]
    count = len(values) - len(finite)
    parts = [decimal(v) for v in finite[:most]]
    rest = len(finite) - len(parts)
    told = ", ".join(parts) + (f" and {rest} more" if rest else "")
    if count:
        told += f"{', ' if told else ''}{count} {endless}"
    return [f"outside: {told}", f"outside: {len(values)}"]


def _edge_text(ax: Axes, places: list[float], texts: list[str], up: bool) -> None:
    """The first of some texts that fits at an edge, where it has most room between the marks."""
    to_axes = ax.transData + ax.transAxes.inverted()
    across = sorted(to_axes.transform((x, 1.0))[0] for x in places)
    edges = np.array([0.0, *np.clip(across, 0, 1), 1.0])
    gap = int(np.diff(edges).argmax())
    right = gap > 0  # of a mark; else left of the first
    size = SMALL * mpl.rcParams["font.size"]
    room = np.diff(edges)[gap] * room_above(ax)
    fits = [text for text in texts if (_CHARACTER * len(text) + 1) * size <= room]
    ax.annotate(
        fits[0] if fits else texts[-1],
        (edges[gap] if right else edges[1], 0.985 if up else 0.015),
        (6 if right else -6, 0),
        xycoords="axes fraction",
        textcoords="offset points",
        ha="left" if right else "right",
        va="top" if up else "bottom",
        fontsize=size,
        color=BEYOND_COLOR,
        zorder=6,  # above points
        annotation_clip=False,
        # Legible where it lies upon points.
        bbox={"facecolor": "white", "alpha": 0.75, "linewidth": 0, "pad": 0.5},
    )
