"""Figures in a page: SVG with text as text, and its points as data for the page's script.

The picture is complete without the script. What the script adds needs no library: the values under
the pointer, hidden layers, linear axes (drawn here, as a second picture) and files to download.
matplotlib takes half a second to import: this file is imported when a page is written.
"""

from __future__ import annotations

import base64
import io
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.collections import PolyCollection
from matplotlib.ticker import FixedLocator, MaxNLocator
from PIL import Image

from scalinglab.analysis.plot.files import svg
from scalinglab.analysis.plot.layers import Layer, layers
from scalinglab.analysis.plot.marks import EXTRAPOLATED
from scalinglab.analysis.plot.ticks import set_scale
from scalinglab.analysis.tables.powers import as_key
from scalinglab.scaling.text.plain import plain

if TYPE_CHECKING:
    from matplotlib.artist import Artist
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from matplotlib.transforms import Bbox

NO_RUNS: Mapping[str, int] = {}
_MANY = 400  # points of a layer, beyond which only the run is named under the pointer
_ROWS = 3000  # points of all lines, beyond which a page keeps fewer of each
_LEAST = 5  # of a line
_DIGITS = 8  # of values that are not whole
_PLACES = re.compile(r' (?:d|x|y|transform|points)="[^"]*"')
_LONG = re.compile(r"(\.\d\d)\d+")
_IMAGE = re.compile(r"(?<=data:image/png;base64,)([A-Za-z0-9+/=\s]+)")
_COLOURS = 48
_BROAD = 7.0  # inches
_LINES_OF = ("law", "mean", "parabola")  # what a line through a group's points is
_LAST = 0.96  # of a linear axis, up to which it has ticks
_LINEAR = 45_000  # characters of a picture, up to which it is drawn on linear axes, too


@dataclass(frozen=True)
class Picture:
    """A figure as a page holds it.

    Attributes
    ----------
    key : str
        Its name within the page.
    svgs : tuple of str
        On its own axes, then on linear ones if it has logarithmic ones.
    data : str
        JSON: the layers with their values and places, and what the legend's entries hide.
    broad : bool
        Whether it takes the whole width of the page.
    alone : bool
        Whether its caption stands beside it, as no other figure does.
    """

    key: str
    svgs: tuple[str, ...]
    data: str
    broad: bool = False
    alone: bool = False


def picture(figure: Figure, key: str, runs: Mapping[str, int] = NO_RUNS) -> Picture:
    """A figure as SVG and data; `key` keeps its ids from those of other figures.

    `runs` are the places of runs in the page, where each has its name and values once.
    """
    legend = _legend(figure, key)
    drawn = [_scalable(svg(figure, key), key)]
    places = [_places(figure)]
    if len(drawn[0]) <= _LINEAR and (linear := _on_linear_axes(figure)):
        engine = figure.get_layout_engine()
        if _fits(figure):
            figure.set_layout_engine("none")  # the same places, which need not be found again
        drawn.append(_scalable(svg(figure, f"{key}-linear"), key))
        figure.set_layout_engine(engine)
        places.append(_places(figure))
        linear()
    width, height = figure.get_size_inches() * 72
    drawn_layers = _layers(figure)
    content = {
        "w": round(float(width), 1),
        "h": round(float(height), 1),
        "legend": legend,
        "layers": [
            _layer(layer, [axes_places[k] for axes_places in places], kept, runs)
            for k, (layer, kept) in enumerate(zip(drawn_layers, _kept(drawn_layers), strict=True))
        ],
    }
    return Picture(key, tuple(drawn), embedded(content), bool(width > 72 * _BROAD))


def embedded(value: Any) -> str:
    """JSON for a script element: no text in it can end the element."""
    text = json.dumps(plain(value), separators=(",", ":"), allow_nan=False)
    return text.replace("<", "\\u003c").replace("&", "\\u0026")


def packed(values: list[Any]) -> list[Any] | dict[str, list[Any]]:
    """The values of a column; each only once, with the places of its uses, where many are equal.

    The settings of 2,000 runs are 20 times as large without this: most columns have one value.
    """
    keys = [(type(value), value) for value in values]  # True is no 1
    places = {key: k for k, key in enumerate(dict.fromkeys(keys))}
    if len(places) > len(values) / 2:
        return values
    at = [] if len(places) == 1 else [places[key] for key in keys]
    return {"of": [value for _, value in places], "at": at}


def _scalable(text: str, key: str) -> str:
    """Without size and font, which the page gives it, and with places to a hundredth of a point.

    Who hears the page hears one image with its caption, not the ticks.
    """
    head, body = text[: text.index(">")], text[text.index(">") :]
    head = re.sub(r'\s(?:width|height)="[^"]*"', "", head)
    head += f' role="img" aria-labelledby="{key}-caption"'
    body = re.sub(r"<metadata>.*?</metadata>\s*", "", body, flags=re.DOTALL)
    body = re.sub(r" font-family: [^;\"]*;?", "", body).replace("-0 ", "0 ")
    body = re.sub(r' transform="rotate\(0 [^"]*\)"', "", re.sub(r">\s+<", "><", body))
    body = _PLACES.sub(lambda match: _LONG.sub(r"\1", match[0]), body)
    return head + _IMAGE.sub(lambda match: _few_colours(match[1]), body)


def _few_colours(image: str) -> str:
    """A PNG of many points, whose colours are few: a quarter of its size."""
    points = Image.open(io.BytesIO(base64.b64decode(image))).convert("RGBA")
    buffer = io.BytesIO()
    points.quantize(_COLOURS, method=Image.Quantize.FASTOCTREE).save(buffer, "png", optimize=True)
    return base64.b64encode(buffer.getvalue()).decode()


def _layers(figure: Figure) -> list[Layer]:
    return [layer for ax in figure.axes for layer in layers(ax)]


def _kept(every: list[Layer]) -> list[np.ndarray]:
    """Of each layer the rows that a page keeps: all, but of a thousand curves some of each."""
    rows = sum(len(layer.table) for layer in every if layer.kind == "line")
    kept = []
    for layer in every:
        count = len(layer.table)
        is_thinned = layer.kind == "line" and rows > _ROWS
        most = max(_LEAST, count * _ROWS // rows) if is_thinned else count
        kept.append(np.unique(np.linspace(0, count - 1, min(count, most)).astype(int)))
    return kept


def _layer(
    layer: Layer, places: list[np.ndarray], kept: np.ndarray, runs: Mapping[str, int]
) -> dict[str, Any]:
    """A layer's kept values and where they are in each picture, points outside left out."""
    table, places = layer.table[layer.columns].iloc[kept], [place[kept] for place in places]
    has_many = len(table) > _MANY and "run_id" in table
    if has_many:
        table = table[["run_id"]]  # the page has each run's values
    table = table.dropna(axis=1, how="all")
    columns = {str(name): [_number(value) for value in table[name]] for name in table}
    if "run_id" in columns:
        columns["run_id"] = [runs.get(str(run), str(run)) for run in columns["run_id"]]
    return {
        "name": layer.name.strip(),
        "kind": layer.kind,
        "columns": list(columns),
        "values": [packed(values) for values in columns.values()],
        "at": [_rounded(place, 0 if has_many else 1) for place in places],
    }


def _rounded(places: np.ndarray, digits: int) -> list[list[float]]:
    rounded = np.round(places, digits)
    return (rounded if digits else rounded.astype(int)).tolist()


def _number(value: Any) -> Any:
    if isinstance(value, float | np.floating):
        return as_key(float(value), _DIGITS)
    return plain(value)


def _places(figure: Figure) -> list[np.ndarray]:
    """Of each layer, x and y in points from the upper left corner: (rows, 2); NaN outside."""
    places = []
    to_points, height = 72 / figure.dpi, figure.get_figheight() * 72
    for ax in figure.axes:
        box = ax.bbox
        for layer in layers(ax):
            with np.errstate(all="ignore"):
                at = ax.transData.transform(np.stack(layer.values, axis=1))
            at[:, 0] += layer.aside * figure.dpi / 72
            x, y = at.T
            shown = (x >= box.x0) & (x <= box.x1) & (y >= box.y0) & (y <= box.y1)
            at = np.stack([x * to_points, height - y * to_points], axis=1)
            places.append(np.where(shown[:, None], at, -1.0))
    return places


def _on_linear_axes(figure: Figure) -> Any:
    """Turn logarithmic axes into linear ones; returns what turns them back,
    None if there are none.
    """
    changed: list[tuple[Any, ...]] = []
    for ax in figure.axes:
        if not _has_layers(ax):
            continue
        limits = ax.get_xlim(), ax.get_ylim()
        for axis, log in ((ax.xaxis, ax.get_xscale()), (ax.yaxis, ax.get_yscale())):
            if log != "log":
                continue
            log_ticks = (
                axis.get_major_locator(),
                axis.get_major_formatter(),
                axis.get_minor_locator(),
            )
            changed.append((ax, axis, log_ticks, limits))
            set_scale(axis, "linear")
            ends = limits[0] if axis is ax.xaxis else limits[1]
            axis.set_major_locator(FixedLocator(_linear_ticks(*ends)))
            axis.set_major_formatter(log_ticks[1])
        ax.set_xlim(limits[0])
        ax.set_ylim(limits[1])
    hidden = _hide_overlapping(figure) if changed else []

    def back() -> None:
        for _, axis, (major, formatter, minor), _ in changed:
            set_scale(axis, "log")
            axis.set_major_locator(major)
            axis.set_major_formatter(formatter)
            axis.set_minor_locator(minor)
        for ax, *_, limits in changed:
            ax.set_xlim(limits[0])
            ax.set_ylim(limits[1])
        for text in hidden:
            text.set_visible(True)

    return back if changed else None


def _fits(figure: Figure) -> bool:
    """Whether the labels beside the axes end within the figure: ticks may have become wider."""
    renderer = FigureCanvasAgg(figure).get_renderer()
    boxes = [ax.yaxis.get_tightbbox(renderer) for ax in figure.axes]
    return all(box is None or (box.x0 >= 0 and box.x1 <= figure.bbox.width) for box in boxes)


def _linear_ticks(low: float, high: float) -> list[float]:
    """Ticks whose labels end before the edge of a figure, which keeps the places of its axes."""
    ticks = MaxNLocator(5).tick_values(low, high)
    return [float(tick) for tick in ticks if low <= tick <= low + _LAST * (high - low)]


def _hide_overlapping(figure: Figure) -> list[Artist]:
    """Hide texts among the data that now lie upon others: names of lines that start at one place."""
    renderer = FigureCanvasAgg(figure).get_renderer()
    hidden: list[Artist] = []
    for ax in figure.axes:
        taken: list[Bbox] = []
        for text in ax.texts:
            box = text.get_window_extent(renderer)
            if any(box.overlaps(other) for other in taken):
                text.set_visible(False)
                hidden.append(text)
            else:
                taken.append(box)
    return hidden


def _has_layers(ax: Axes) -> bool:
    return bool(layers(ax))


def _legend(figure: Figure, key: str) -> list[list[str]]:
    """Name the artists that each entry of a legend stands for: ``[entry, artist, ...]`` by id."""
    entries: list[list[str]] = []
    ids: dict[int, str] = {}  # several entries may stand for one artist, as all bands and an arm
    for i, ax in enumerate(figure.axes):
        legend = ax.get_legend()
        if legend is None or not _has_layers(ax):
            continue
        for k, (artist, text) in enumerate(
            zip(ax.get_legend_handles_labels()[0], legend.get_texts(), strict=False)
        ):
            name = f"{key}-{i}-{k}"
            text.set_gid(f"{name}-t")
            together = _together(ax, artist)
            for j, handle in enumerate(together):
                handle.set_gid(ids.setdefault(id(handle), f"{name}-{j}"))
            entries.append([f"{name}-t", *(ids[id(handle)] for handle in together)])
    return entries


def _together(ax: Axes, artist: Any) -> list[Artist]:
    """What an entry stands for: all bands, or a layer with the law's line of it and its band."""
    if not hasattr(artist, "set_gid"):
        return list(artist)  # bars
    every = layers(ax)
    if artist.get_label() == EXTRAPOLATED:
        return [line for line in ax.lines if str(line.get_label()).lstrip("_") == EXTRAPOLATED]
    if isinstance(artist, PolyCollection):
        bands: list[Artist] = [
            a for layer in every for a in layer.artists if isinstance(a, PolyCollection)
        ]
        return bands if artist in bands else [artist, *bands]
    own_layers = [layer for layer in every if artist in layer.artists]
    own_names = {layer.name for layer in own_layers}
    names = own_names | {f"{of}, {name}" for of in _LINES_OF for name in own_names}
    artists = [a for layer in every if layer.name in names for a in layer.artists]
    return artists if artist in artists else [artist, *artists]
