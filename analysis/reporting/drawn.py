"""A figure of a report's size, drawn by a function of `analysis.plot`."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

WIDTH = 4.7  # inches: on a telephone its texts are legible (nine pixels), beside another not huge
Captioned = tuple[str, "Figure"]


def drawn(draw: Callable[..., Axes], *args: Any, ratio: float = 0.7, **options: Any) -> Figure:
    """A figure of the report's size."""
    # matplotlib takes half a second to import: only drawing waits for it.
    from scalinglab.analysis.plot.style import figure_of, panels

    (ax,) = panels(WIDTH, ratio)
    draw(*args, ax=ax, **options)
    return figure_of(ax)
