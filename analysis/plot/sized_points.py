"""Points of categories: colour and marker say which, the mark's size how large the model is."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import matplotlib as mpl
import numpy as np
import pandas as pd

from scalinglab.analysis.plot.layers import Layer, points
from scalinglab.analysis.tables.powers import short

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_SMALL, _LARGE = 0.7, 1.5  # widths of the marks of the smallest and the largest model
_ONE = 1.1


def points_by_size(
    ax: Axes, table: pd.DataFrame, x: str, y: str, name: str, *, of: pd.Series, **look: Any
) -> Layer:
    """Points of one category; `of` are the N of all categories, which set the scale of marks."""
    size = _widths(table["N"], of)
    return points(ax, table, x, y, name, size=size, **look)


def size_legend(ax: Axes, sizes: pd.Series) -> None:
    """Entries of the legend for the smallest and the largest mark."""
    ends = sorted({float(sizes.min()), float(sizes.max())})
    for value in ends if len(ends) > 1 else ():
        width = float(_widths(pd.Series([value]), sizes)[0])
        area = (mpl.rcParams["lines.markersize"] * width) ** 2
        ax.scatter([], [], s=area, color="0.55", linewidths=0, label=f"N = {short(value)}")


def _widths(values: pd.Series, of: pd.Series) -> np.ndarray:
    """Widths of marks, evenly in log N; one width where all models are of one size."""
    low, high = np.log(float(of.min())), np.log(float(of.max()))
    if high <= low:
        return np.full(len(values), _ONE)
    share = (np.log(values.to_numpy(float)) - low) / (high - low)
    widths: np.ndarray = _SMALL + (_LARGE - _SMALL) * share
    return widths
