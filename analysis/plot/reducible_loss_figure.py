"""The loss above the law's floor: a straight line against compute where power laws hold."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import matplotlib as mpl
import numpy as np
import pandas as pd
from matplotlib.colors import to_hex

from scalinglab.analysis.plot.frames import frame
from scalinglab.analysis.plot.labels import COMPUTE, SIZE, decimal
from scalinglab.analysis.plot.law_lines import (
    LEVEL,
    far_from_law,
    frontier,
    inside_rows,
    interval_name,
    law_line,
    line_values,
    of_size_and_tokens,
    run_table,
)
from scalinglab.analysis.plot.layers import Layer, line, points
from scalinglab.analysis.plot.line_labels import label_starts
from scalinglab.analysis.plot.marks import HELD_OUT
from scalinglab.analysis.plot.style import SMALL, Scale, axes, finish
from scalinglab.analysis.plot.ticks import log_axis
from scalinglab.analysis.tables.powers import power, short
from scalinglab.scaling.errors import UserError

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from scalinglab.analysis.fitting.result import Result

_ROOM = 1.6
_LENGTH = 2.0  # times the tokens of held-out runs, and their inverse: the ends of their line
_PLACES = 30  # of such a line
_LEAST = 0.02  # share of the smallest reducible loss that the lower end of a band is drawn to


def reducible_loss(
    result: Result,
    runs: pd.DataFrame,
    *,
    held_out: pd.DataFrame | None = None,
    level: float = LEVEL,
    ax: Axes | None = None,
) -> Axes:
    """Loss minus the fitted floor against C, both logarithmic, and the law's frontier.

    Parameters
    ----------
    result : Result
        A fit of a law in N and D with a floor, as E of chinchilla.
    runs, held_out : DataFrame
        With the columns that were fitted; `held_out` runs were not.
    level : float
        Of the interval of a new run, less the best floor. The floor's own doubt bends the line.
    ax : Axes, optional

    Returns
    -------
    Axes

    Raises
    ------
    UserError
        If the law has no floor, or reads more than N and D.
    """
    floors = result.law.parameters_with_role("floor")
    if len(floors) != 1 or not of_size_and_tokens(result):
        raise UserError(
            f"reducible loss: needs a law in N and D with one floor; {result.law.name} is none"
        )
    ax = axes() if ax is None else ax
    floor = result.params[floors[0]]
    fitted = run_table(result, runs)
    held_out_runs = None if held_out is None or held_out.empty else run_table(result, held_out)
    together = (
        fitted if held_out_runs is None else pd.concat([fitted, held_out_runs], ignore_index=True)
    )
    scale = Scale(together["N"])
    away = far_from_law(result, fitted) | (fitted["loss"].to_numpy(float) <= floor)
    points(
        ax,
        _above(fitted, floor),
        "C",
        "reducible",
        "fitted runs",
        away=away,
        color=scale(fitted["N"]),
    )
    if held_out_runs is not None:
        stars = _above(held_out_runs, floor)
        points(ax, stars, "C", "reducible", "held-out runs", **HELD_OUT)
    lines = (
        [] if held_out_runs is None else _own_lines(ax, result, held_out_runs, floor, scale, level)
    )
    _draw_frontier(ax, result, floor, level, together["C"])
    label_starts(ax, lines, lambda layer: layer.name.removeprefix("law at "))
    scale.bar(ax, SIZE)
    ax.annotate(
        f"{floors[0]} = {floor:.3f}",
        (0.03, 0.04),
        xycoords="axes fraction",
        fontsize=SMALL * mpl.rcParams["font.size"],
    )
    return finish(ax, COMPUTE, f"loss − {floors[0]} (nats/token)")


def _own_lines(
    ax: Axes, result: Result, held_out: pd.DataFrame, floor: float, scale: Scale, level: float
) -> list[Layer]:
    """The law at the sizes of held-out runs, which are not at best splits."""
    lines = []
    for n in line_values((), held_out["N"]):
        tokens = held_out.loc[held_out["N"] == n, "D"]
        places = np.geomspace(tokens.min() / _LENGTH, tokens.max() * _LENGTH, _PLACES)
        table = _clipped(_above(law_line(result, n, places, level), floor))
        look: dict[str, Any] = {"color": to_hex(scale(n)), "label": False, "lw": 1, "strength": 0.6}
        inside = inside_rows(result, table)
        name = f"law at N = {short(n)}"
        lines.append(line(ax, table, "C", "reducible", name, inside=inside, **look))
    return lines


def _draw_frontier(ax: Axes, result: Result, floor: float, level: float, C: pd.Series) -> None:
    """The loss of the best split above the floor, a bit beyond the runs' compute at both ends."""
    low, high = C.min() / _ROOM, C.max() * _ROOM
    best = _clipped(_above(frontier(result, low, high, level), floor))
    band = interval_name(level) if len(result.draws) else ""
    is_inside = inside_rows(result, best)
    line(ax, best, "C", "reducible", "best split", band=band, inside=is_inside, lw=1.8)
    log_axis(ax.xaxis, power)
    log_axis(ax.yaxis, decimal)
    ax.set_xlim(low, high)
    frame(ax)


def _clipped(table: pd.DataFrame) -> pd.DataFrame:
    """With lower ends that a logarithmic axis can show."""
    if "reducible_lower" not in table:
        return table
    least = _LEAST * table["reducible"].min()
    return table.assign(reducible_lower=table["reducible_lower"].clip(lower=least))


def _above(table: pd.DataFrame, floor: float) -> pd.DataFrame:
    """With the loss above the floor, and the ends of its interval."""
    ends = [end for end in ("", "_lower", "_upper") if f"loss{end}" in table]
    return table.assign(
        **{f"reducible{end}": np.asarray(table[f"loss{end}"]) - floor for end in ends}
    )
