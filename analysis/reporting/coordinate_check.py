"""The result of a coordinate check, growth along width and depth, as a table and a figure."""

from __future__ import annotations

import math
from pathlib import Path
from typing import TYPE_CHECKING

import pandas as pd

from scalinglab.analysis.plot.labels import literal
from scalinglab.analysis.tables.typed import groups_of
from scalinglab.scaling.records.atomic import save_atomic

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def growth(movement: pd.DataFrame) -> pd.DataFrame:
    """One row for each parametrization and axis: movement at each size, and last over first.

    Parameters
    ----------
    movement : DataFrame
        Rows of ``scalinglab.scaling.engine.trainer.coordcheck.coordinate_check``.

    Returns
    -------
    DataFrame
        ``parametrization, axis, sizes, hidden, logits`` (texts), ``growth`` of `hidden`, and on
        the width's axis ``tensor`` (text): the tensor whose movement changes most from the first
        size to the last, and by which factor. Along depth it is empty, as parametrizations differ
        in what tensors should do.
    """
    rows = []
    for (name, axis), part in groups_of(movement, ["parametrization", "axis"], sort=False):
        part = part.sort_values(axis)
        rows.append(
            {
                "parametrization": name,
                "axis": axis,
                "sizes": _joined(part[axis], "{:d}"),
                "hidden": _joined(part["hidden"], "{:.3g}"),
                "logits": _joined(part["logits"], "{:.3g}"),
                "growth": part["hidden"].iloc[-1] / part["hidden"].iloc[0],
                "tensor": _most_changed(part["tensors"]) if axis == "width" else "",
            }
        )
    return pd.DataFrame(rows)


def _most_changed(tensors: pd.Series) -> str:
    """The tensor whose movement changes most from the first size to the last, as text."""
    first, last = tensors.iloc[0], tensors.iloc[-1]
    growth = {name: last[name] / first[name] for name in last if first[name] > 0 and last[name] > 0}
    if not growth:
        return ""
    name = max(growth, key=lambda name: abs(math.log(growth[name])))
    return f"{name} {growth[name]:.2f}"


def write_coordinate_check(movement: pd.DataFrame, path: Path) -> None:
    """Draw the movement into a file; its ending chooses the format."""
    figure, kind = draw_coordinate_check(movement), path.suffix[1:].lower()
    save_atomic(path.absolute(), lambda aside: figure.savefig(aside, format=kind, dpi=150))


def draw_coordinate_check(movement: pd.DataFrame) -> Figure:
    """The movement of the last hidden state against each axis, one line per parametrization."""
    # matplotlib takes half a second to import: only drawing waits for it.
    from matplotlib.figure import Figure
    from matplotlib.ticker import MaxNLocator, NullLocator

    axes = list(dict.fromkeys(movement["axis"]))
    figure = Figure(figsize=(4.2 * len(axes), 3.4), layout="constrained")
    panels = figure.subplots(1, len(axes), squeeze=False, sharey=True)[0]
    for ax, axis in zip(panels, axes, strict=True):
        part = movement[movement["axis"] == axis]
        for k, (name, line) in enumerate(part.groupby("parametrization", sort=False)):
            # The first lines are thickest, so that equal lines above them leave them visible.
            ax.plot(
                line[axis],
                line["hidden"],
                marker="o",
                ms=8 - 2 * min(k, 2),
                lw=4 - 1.2 * min(k, 2),
                label=literal(name),
            )
        ax.set_xscale("log", base=2)
        ax.set_yscale("log")
        ax.yaxis.set_major_locator(MaxNLocator(6))
        ax.yaxis.set_minor_locator(NullLocator())
        ax.yaxis.set_major_formatter("{x:g}")
        ax.set_xticks(sorted(set(part[axis])), [str(v) for v in sorted(set(part[axis]))])
        ax.set_xlabel(axis)
        ax.grid(alpha=0.3)
    figure.axes[0].set_ylabel("mean change of a coordinate\nof the last hidden state")
    figure.axes[0].legend(fontsize=8)
    return figure


def _joined(values: pd.Series, form: str) -> str:
    return "  ".join(form.format(v) for v in values)
