"""How figures look: colours that colour-blind readers tell apart, axes, legends, colour bars."""

from __future__ import annotations

from collections.abc import Sequence
from textwrap import wrap
from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary

import matplotlib as mpl
import numpy as np
from matplotlib.cm import ScalarMappable
from matplotlib.collections import PathCollection, PolyCollection
from matplotlib.colors import Colormap, ListedColormap, LogNorm, Normalize, to_hex
from matplotlib.figure import Figure
from matplotlib.font_manager import FontProperties
from matplotlib.lines import Line2D
from matplotlib.textpath import text_to_path
from matplotlib.ticker import FuncFormatter

from scalinglab.analysis.plot.ticks import LogTicks
from scalinglab.analysis.tables.powers import power, short

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.colorbar import Colorbar

COLUMN = 3.25  # inches: a column of ICML, ACL or NeurIPS' two-column kin
PAGE = 6.75  # and their whole width
_RATIO = 0.68  # height over width of a figure of one panel
# rcParams for print: `with matplotlib.rc_context(plot.PAPER)`.
PAPER: dict[str, Any] = {
    "font.size": 8,
    "axes.titlesize": 8,
    "lines.linewidth": 1.2,
    "lines.markersize": 4,
    "axes.linewidth": 0.6,
    "xtick.major.width": 0.6,
    "ytick.major.width": 0.6,
    "svg.fonttype": "none",  # text is text
    "pdf.fonttype": 42,
}
# Okabe and Ito 2008, the order chosen so that the first ones differ most, also in grey.
PALETTE = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#56B4E9", "#E69F00")
_MARKERS = "osDpXh"  # of categories; those of other meanings stand in `marks`
INK = "#1a1a1a"  # of the law and of all text
NEUTRAL = "0.4"  # in a legend, of what has a colour a size in the figure
BAND = 0.18  # opacity of an interval
_LEAST_MARK = 9.0  # square points, of a mark in a legend
_DEFAULT_CYCLE = [f"#{c}" for c in ("1f77b4", "ff7f0e", "2ca02c", "d62728", "9467bd")]
SMALL = 0.9  # size of legends and notes over the font's: on a telephone smaller is not legible
_HEIGHT = 0.68  # of a figure's, that its axes have
_BELOW, _ROW = 4.5, 1.5  # height of ticks and label below, and of a legend's row, in its sizes
# Of a column of a legend, in sizes of the font: mark, pad and gap; the gap; the pad.
_HANDLE, _BETWEEN, _PAD = 2.8, 0.8, 0.5
_LABEL_EMS, _BAR_EMS = 8.5, 7.0  # that labels beside the axes take, and a colour bar
_BARS: WeakKeyDictionary[Axes, Colorbar] = WeakKeyDictionary()


def palette() -> Sequence[str]:
    """Colours of categories: those of rcParams where somebody chose some."""
    cycle = [to_hex(c) for c in mpl.rcParams["axes.prop_cycle"].by_key().get("color", [])]
    return PALETTE if not cycle or cycle[:5] == _DEFAULT_CYCLE else cycle


def category(k: int) -> dict[str, Any]:
    """Colour and marker of the k-th category: told apart without colour, too."""
    colours = palette()
    # Beyond the colours each goes on with another marker, so that no two categories look alike.
    marker = _MARKERS[(k + k // len(colours)) % len(_MARKERS)]
    return {"color": colours[k % len(colours)], "marker": marker}


def colour_map() -> Colormap:
    """Viridis without its palest quarter: legible as a line on white."""
    return ListedColormap(mpl.colormaps["viridis"](np.linspace(0.02, 0.75, 256)))


def axes(width: float | None = None, ratio: float = _RATIO, columns: int = 1) -> Any:
    """Axes of a new figure that is `width` inches wide: ``plot.COLUMN`` or ``plot.PAGE``.

    Parameters
    ----------
    width : float, optional
        Default: that of rcParams.
    ratio : float
        Height over width of a panel.
    columns : int
        Panels beside each other.

    Returns
    -------
    Axes, or array of Axes if there are several
    """
    # pyplot shows figures in notebooks; whoever passes axes of their own never loads it.
    from matplotlib import pyplot

    size = None if width is None else (width, width * ratio / columns)
    return pyplot.subplots(1, columns, figsize=size, layout="constrained")[1]


def panels(width: float, ratio: float = _RATIO, columns: int = 1) -> list[Axes]:
    """Axes of a figure that no window shows."""
    figure = Figure(figsize=(width, width * ratio / columns), layout="constrained")
    return list(figure.subplots(1, columns, squeeze=False)[0])


def figure_of(ax: Axes) -> Figure:
    """The whole figure that axes stand in."""
    assert ax.figure is not None
    return ax.figure.figure  # of a figure itself, of a part of one the whole


class Scale:
    """Colours of a quantity on a logarithmic scale."""

    def __init__(self, values: Any) -> None:
        values = np.unique(np.asarray(values, float))
        values = values[np.isfinite(values)]
        self.values = values
        low, high = (values.min(), values.max()) if len(values) else (1.0, 1.0)
        if low == high:
            low, high = (low / 2, high * 2) if low > 0 else (low - 1, high + 1)
        self.norm: Normalize = LogNorm(low, high) if low > 0 else Normalize(low, high)
        self.map = colour_map()

    def __call__(self, values: Any) -> Any:
        """Colours of values."""
        return self.map(self.norm(np.asarray(values, float)))

    def few(self, most: int = 5) -> np.ndarray:
        """At most `most` of the values, evenly apart in logarithms: those whose lines are drawn."""
        if len(self.values) <= most:
            return self.values
        places = np.geomspace(self.values[0], self.values[-1], most)
        near = np.abs(np.log(self.values)[:, None] - np.log(places)).argmin(axis=0)
        return self.values[np.unique(near)]

    def bar(self, ax: Axes, label: str, powers: bool = False) -> None:
        """A colour bar beside the axes, its ticks at 1 and 3 of each power of ten."""
        if len(self.values) < 2:
            return
        mappable = ScalarMappable(self.norm, self.map)
        bar = ax.figure.colorbar(mappable, ax=ax, pad=0.02, aspect=28)
        form = power if powers else short
        if isinstance(self.norm, LogNorm):
            bar.locator = LogTicks((1, 3))
            bar.formatter = FuncFormatter(lambda value, _: form(value))
            bar.update_ticks()
        bar.ax.minorticks_off()
        bar.outline.set_visible(False)
        bar.set_label(label)
        _BARS[ax] = bar


def finish(ax: Axes, x: str, y: str, legend: bool = True, title: str = "") -> Axes:
    """Labels, a faint grid, and a legend above the data, where it hides nothing;
    its title is the axes'.
    """
    ax.set_xlabel(x)
    ax.grid(alpha=0.25, lw=0.5)
    ax.set_axisbelow(True)
    ax.spines[["top", "right"]].set_visible(False)
    handles, names = ax.get_legend_handles_labels()
    if legend and len(handles):
        rows = _legend_above(ax, handles, names, title) + bool(title)
    else:
        rows = 0
    ax.set_ylabel(_along(ax, y, rows))
    if ax in _BARS:
        _BARS[ax].set_label(_along(ax, _BARS[ax].ax.get_ylabel(), rows))
    return ax


def _along(ax: Axes, text: str, rows: int) -> str:
    """A label of a vertical axis below a legend of some rows, in two lines where it is longer."""
    size = mpl.rcParams["font.size"]
    height = figure_of(ax).get_figheight() * 72
    free = min(height * _HEIGHT, height - (_BELOW + SMALL * _ROW * rows) * size)
    width = text_to_path.get_text_width_height_descent(text, FontProperties(size=size), False)[0]
    return text if width <= free else "\n".join(wrap(text, -(-len(text) // 2) + 4))


def _legend_above(ax: Axes, handles: list, names: list[str], title: str) -> int:
    """In as many columns as there is room for; how many rows that takes."""
    size = mpl.rcParams["font.size"] * SMALL
    columns = len(names)
    while columns > 1 and _legend_width(names, columns) * size > room_above(ax):
        columns -= 1
    legend = ax.legend(
        handles,
        names,
        loc="lower left",
        bbox_to_anchor=(0, 1.0),
        borderaxespad=0.2,
        ncols=columns,
        fontsize=size,
        title=title or None,
        alignment="left",
        frameon=False,
        handlelength=_HANDLE - _BETWEEN - _PAD,
        handletextpad=_PAD,
        columnspacing=_BETWEEN,
        labelspacing=0.3,
    )
    _neutral(ax, legend, handles)
    return -(-len(names) // columns)


def _neutral(ax: Axes, legend: Any, handles: list) -> None:
    """Grey in the legend where what an entry stands for has many colours: none is meant; and no
    mark too small to be seen.
    """
    bands = [c for c in ax.collections if isinstance(c, PolyCollection)]
    colours = {tuple(row) for b in bands for row in np.reshape(b.get_facecolor(), (-1, 4))[:1]}
    has_bands = len(colours) > 1
    for handle, shown in zip(handles, legend.legend_handles, strict=True):
        if isinstance(handle, PathCollection):  # of a thousand runs each mark is a speck
            shown.set_sizes(np.maximum(shown.get_sizes(), _LEAST_MARK))
        if (
            isinstance(handle, PathCollection)
            and len(np.unique(handle.get_facecolor(), axis=0)) > 1
        ):
            shown.set_facecolor(NEUTRAL)
        elif isinstance(handle, PolyCollection) and handle in bands and has_bands:
            shown.set(facecolor=NEUTRAL, alpha=BAND * 1.5)
        elif isinstance(handle, Line2D) and _stands_for_many(ax, handle):
            shown.set_color(NEUTRAL)
            shown.set_linewidth(max(line.get_linewidth() for line in _alike(ax, handle)))


def _alike(ax: Axes, entry: Line2D) -> list[Line2D]:
    """The lines that an entry of the legend stands for: those of its name."""
    name = entry.get_label()
    return [line for line in ax.lines if str(line.get_label()).lstrip("_") == name]


def _stands_for_many(ax: Axes, entry: Line2D) -> bool:
    """Whether lines without an entry of their own share this one, in other colours."""
    return len({to_hex(line.get_color()) for line in _alike(ax, entry)}) > 1


def room_above(ax: Axes) -> float:
    """Points from end to end of the axes: a wider legend would push the colour bar away."""
    specification = ax.get_subplotspec()
    panels = 1 if specification is None else specification.get_gridspec().ncols
    beside = _LABEL_EMS + (_BAR_EMS if ax in _BARS else 0)
    return float(figure_of(ax).get_figwidth() * 72 / panels - beside * mpl.rcParams["font.size"])


def _legend_width(names: list[str], columns: int) -> float:
    """In sizes of the font; matplotlib fills columns from above."""
    font = FontProperties(size=10)
    ems = [text_to_path.get_text_width_height_descent(n, font, False)[0] / 10 for n in names]
    rows, more = divmod(len(names), columns)
    width, first = -_BETWEEN, 0
    for k in range(columns):
        count = rows + (k < more)
        width += max(ems[first : first + count]) + _HANDLE
        first += count
    return width
