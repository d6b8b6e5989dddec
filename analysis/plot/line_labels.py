"""Names of lines beside them, in their colours."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import matplotlib as mpl
import numpy as np
from matplotlib.colors import to_rgb

from scalinglab.analysis.plot.layers import Layer
from scalinglab.analysis.plot.style import SMALL, figure_of

if TYPE_CHECKING:
    from matplotlib.axes import Axes

Named = Callable[[Layer], str]
_EM = 0.62  # width of a character in sizes of the font, on average
_LINE = 1.25  # height of a line of text in sizes of the font
_GAP = 3  # points between the end of a line and its name
_DARKEST = 0.45  # luminance of a name: pale colours are legible as marks, not as text


def label_starts(ax: Axes, lines: Sequence[Layer], name: Named) -> None:
    """Write a name at the start of each line, at the first place that is free of other names.

    For lines whose right ends lie among the runs. The axes have their final limits.
    """
    wide, high = _points_of(ax)
    height = _LINE * _size() / high
    to_axes = ax.transData + ax.transAxes.inverted()
    taken: list[tuple[float, float, float]] = []
    for layer in lines:
        width = (len(name(layer)) * _EM * _size() + 2 * _GAP) / wide
        for x, y in to_axes.transform(np.stack(layer.values, axis=1)):
            inside = 0 <= x <= 1 - width and 0 <= y <= 1 - height
            if inside and all(
                x > a + w or a > x + width or abs(y - b) > height for a, b, w in taken
            ):
                taken.append((x, y, width))
                place = to_axes.inverted().transform((x, y))
                _write(ax, name(layer), place, (_GAP, 1), layer, va="bottom")
                break


def room_at_ends(ax: Axes, lines: Sequence[Layer], name: Named) -> None:
    """Extend the axis of x, so that names stand to the right of the lines: see `label_ends`."""
    wide, _ = _points_of(ax)
    room = (max(len(name(layer)) for layer in lines) * _EM * _size() + _GAP) / wide
    to_axes = ax.transData + ax.transAxes.inverted()
    last = max(to_axes.transform(_end(layer))[0] for layer in lines)
    ax.set_xlim(right=to_axes.inverted().transform((max(last / (1 - room), 1), 0))[0])


def label_ends(ax: Axes, lines: Sequence[Layer], name: Named) -> None:
    """Write a name to the right of each line; the axes have their final limits."""
    _, high = _points_of(ax)
    ends = np.array([_end(layer) for layer in lines])
    heights = (ax.transData + ax.transAxes.inverted()).transform(ends)[:, 1]
    apart = _spread(heights, _LINE * _size() / high)
    for layer, end, moved in zip(lines, ends, (apart - heights) * high, strict=True):
        _write(ax, name(layer), end, (_GAP, moved), layer, va="center")


def _end(layer: Layer) -> tuple[float, float]:
    x, y = layer.values
    return float(x[-1]), float(y[-1])


def _spread(heights: np.ndarray, least: float) -> np.ndarray:
    """Heights at least so far apart, in the same order, moved as little as that takes."""
    order = np.argsort(heights)
    apart = heights[order]
    for _ in range(50):
        overlap = np.clip(least - np.diff(apart), 0, None) / 2
        apart[:-1] -= overlap
        apart[1:] += overlap
    spread = np.empty_like(apart)
    spread[order] = apart
    return spread


def _points_of(ax: Axes) -> tuple[float, float]:
    """Width and height of axes in points."""
    figure, box = figure_of(ax), ax.get_position()
    return figure.get_figwidth() * 72 * box.width, figure.get_figheight() * 72 * box.height


def _size() -> float:
    return float(SMALL * mpl.rcParams["font.size"])


def _write(
    ax: Axes, text: str, place: np.ndarray, offset: tuple[float, float], layer: Layer, va: str
) -> None:
    """At a place of the data, so that it follows its line onto linear axes."""
    ax.annotate(
        text,
        tuple(place),
        offset,
        textcoords="offset points",
        ha="left",
        va=va,
        fontsize=_size(),
        color=_legible(layer),
        zorder=6,
        annotation_clip=False,
        bbox={"facecolor": "white", "alpha": 0.7, "linewidth": 0, "pad": 0.3},
    )


def _legible(layer: Layer) -> tuple[float, ...]:
    """The colour of a line, darker where it is pale."""
    red, green, blue = to_rgb(layer.color)
    luminance = 0.2126 * red + 0.7152 * green + 0.0722 * blue
    return tuple(part * min(1.0, _DARKEST / max(luminance, 1e-9)) for part in (red, green, blue))
