"""A figure as a file: PNG, PDF, SVG whose text is text, and the data it shows as CSV."""

from __future__ import annotations

import io
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import matplotlib as mpl
import pandas as pd
from matplotlib.backends.backend_svg import FigureCanvasSVG

from scalinglab.analysis.plot.gradients import with_gradients
from scalinglab.analysis.plot.layers import layers
from scalinglab.scaling.errors import UserError
from scalinglab.scaling.records.atomic import save_atomic, write_atomic

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

FORMATS = ("png", "svg", "pdf", "csv")
_TEXT: dict[Any, Any] = {"svg.fonttype": "none", "pdf.fonttype": 42}
_DPI = 200
_POINTS = 72  # an inch, in which an SVG is drawn


def data(figure: Figure | Axes) -> pd.DataFrame:
    """What a figure shows, as one table: ``layer`` (the legend's name), then its columns."""
    parts = [
        layer.table[layer.columns].assign(layer=layer.name.strip() or layer.y)
        for ax in _figure(figure).axes
        for layer in layers(ax)
    ]
    if not parts:
        return pd.DataFrame({"layer": []})
    tables = [part.dropna(axis=1, how="all") for part in parts]
    table = pd.concat(tables, ignore_index=True)
    return table[["layer", *(name for name in table if name != "layer")]]


def save(figure: Figure | Axes, path: str | Path, formats: Sequence[str] = ()) -> list[Path]:
    """Write a figure; the ending says the format, or `formats` names several.

    Parameters
    ----------
    figure : Figure or Axes
    path : path
        ``"frontier.svg"``, or ``"frontier"`` with ``formats=("pdf", "csv")``.
    formats : sequence of str
        Of png, svg, pdf and csv.

    Returns
    -------
    list of Path
        What was written, each whole.

    Raises
    ------
    UserError
        If a format is not one of these.
    """
    path = Path(path)
    endings = tuple(formats) or (path.suffix[1:].lower(),)
    stem = path if formats else path.with_suffix("")
    unknown = [ending for ending in endings if ending not in FORMATS]
    if unknown:
        raise UserError(f"{path}: a figure is written as {', '.join(FORMATS)}, not {unknown[0]!r}")
    return [_write(figure, stem.parent / f"{stem.name}.{ending}", ending) for ending in endings]


def svg(figure: Figure | Axes, salt: str = "scaling") -> str:
    """A figure as inline SVG; equal figures give equal text. `salt` keeps its ids from others'."""
    buffer, whole = io.StringIO(), _figure(figure)
    with mpl.rc_context(_TEXT | {"svg.hashsalt": salt}), _laid_out(whole):
        whole.savefig(
            buffer, format="svg", metadata={"Date": None, "Creator": None}, transparent=True
        )
    text = buffer.getvalue()
    return with_gradients(text[text.index("<svg") :], salt)


@contextmanager
def _laid_out(figure: Figure) -> Iterator[None]:
    """A figure in its layout and, for as long as this lasts, without an engine that makes one.

    With an engine, `savefig` draws all of a figure to have the layout made, and then again.
    """
    engine, canvas, dpi = figure.get_layout_engine(), figure.canvas, figure.dpi
    if engine is not None:
        FigureCanvasSVG(figure)  # texts are as wide as this one says
        figure.dpi = _POINTS
        engine.execute(figure)
        figure.dpi = dpi
        figure.set_canvas(canvas)
    with mpl.rc_context({"figure.autolayout": False, "figure.constrained_layout.use": False}):
        figure.set_layout_engine(None)
    try:
        yield
    finally:
        figure.set_layout_engine(engine)


def _write(figure: Figure | Axes, path: Path, ending: str) -> Path:
    absolute = path.absolute()
    if ending == "csv":
        write_atomic(absolute, data(figure).to_csv(index=False))
    elif ending == "svg":
        write_atomic(absolute, svg(figure))
    else:
        with mpl.rc_context(_TEXT):
            save_atomic(
                absolute, lambda aside: _figure(figure).savefig(aside, format=ending, dpi=_DPI)
            )
    return path


def _figure(figure: Figure | Axes) -> Figure:
    part = figure.figure
    assert part is not None
    return part.figure  # of a figure itself, of a part of one the whole
