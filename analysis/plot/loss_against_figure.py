"""Loss against one input of a law, the others held: size, tokens, experts, a share of a mixture."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from scalinglab.analysis.plot.frames import frame
from scalinglab.analysis.plot.labels import INPUTS, LOSS
from scalinglab.analysis.plot.law_lines import (
    LEVEL,
    far_from_law,
    inside_rows,
    interval_name,
    line_sizes,
    line_values,
    of_size_and_tokens,
    run_table,
    with_predictions,
)
from scalinglab.analysis.plot.layers import Layer, line, points
from scalinglab.analysis.plot.line_labels import label_ends, room_at_ends
from scalinglab.analysis.plot.marks import HELD_OUT
from scalinglab.analysis.plot.style import INK, Scale, axes, finish
from scalinglab.analysis.plot.ticks import log_axis, loss_axis
from scalinglab.analysis.tables.powers import power, short

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from scalinglab.analysis.fitting.result import Result

_ROOM = 1.3
_LONGEST = 40  # characters of a label
_GRID = 60
_COMPUTE = 1e15  # larger values are written as powers of ten: they are compute
_DECADE = 3.0  # ratio of an input's ends, from which its axis is logarithmic


def loss_against(
    result: Result,
    runs: pd.DataFrame,
    x: str,
    *,
    by: str | None = None,
    held: Mapping[str, float] | None = None,
    held_out: pd.DataFrame | None = None,
    level: float = LEVEL,
    within: tuple[float, float] = (-math.inf, math.inf),
    ax: Axes | None = None,
) -> Axes:
    """Loss of runs against an input of a law, and the law along it.

    Parameters
    ----------
    result : Result
    runs : DataFrame
        With the columns that were fitted.
    x : str
        Input of the law: ``N``, ``D``, ``experts``.
    by : str, optional
        Another input: a colour a value, and the law at some of them. Default: of ``N`` and ``D``
        the other one.
    held : mapping of str to float, optional
        Values of further inputs. Default: the median of the runs.
    held_out : DataFrame, optional
        Runs that were not fitted.
    level : float
        Of the intervals of a new run.
    within : (float, float)
        Least and largest possible `x`: the law is drawn no farther.
    ax : Axes, optional

    Returns
    -------
    Axes
    """
    ax = axes() if ax is None else ax
    by = {"N": "D", "D": "N"}.get(x) if by is None and of_size_and_tokens(result) else by
    fitted = run_table(result, runs)
    held_out_runs = None if held_out is None or held_out.empty else run_table(result, held_out)
    together = (
        fitted if held_out_runs is None else pd.concat([fitted, held_out_runs], ignore_index=True)
    )
    scale = None if by is None else Scale(together[by])
    color = INK if scale is None else scale(fitted[by])
    away = far_from_law(result, fitted)
    points(ax, fitted, x, "loss", "fitted runs", away=away, color=color)
    if held_out_runs is not None:
        points(ax, held_out_runs, x, "loss", "held-out runs", **HELD_OUT)
    at = _grid(together[x], within)
    values = [None] if by is None else list(_line_values(by, fitted[~away], held_out_runs))
    lines = _lines(ax, result, together, x, by, values, scale, dict(held or {}), level, at)
    _x_axis(ax, together[x])
    loss_axis(ax.yaxis)
    if scale is not None:
        room_at_ends(ax, lines, _value_of)
    frame(ax)
    if scale is not None:
        label_ends(ax, lines, _value_of)
    if scale is not None and by is not None:
        scale.bar(ax, _label(result, by), powers=by == "C")
    return finish(
        ax, _label(result, x), LOSS if result.law.response == "loss" else result.law.response
    )


def _line_values(by: str, fitted: pd.DataFrame, held_out: pd.DataFrame | None) -> np.ndarray:
    """Values of `by` that have a line; sizes as in other figures of these runs, if there are some."""
    if by == "N" and "D" in fitted and len(sizes := line_sizes(fitted, held_out)) > 1:
        return sizes
    return line_values(fitted[by], () if held_out is None else held_out[by])


def _lines(
    ax: Axes,
    result: Result,
    runs: pd.DataFrame,
    x: str,
    by: str | None,
    values: Sequence[float | None],
    scale: Scale | None,
    held: dict[str, float],
    level: float,
    grid: np.ndarray,
) -> list[Layer]:
    """The law along `x`, at some values of `by`."""
    middle = {n: float(runs[n].median()) for n in _inputs(result) if n in runs}
    band = interval_name(level) if len(result.draws) else ""
    lines = []
    for k, value in enumerate(values):
        at = middle | held | ({} if by is None or value is None else {by: value}) | {x: grid}
        table = with_predictions(result, pd.DataFrame(at), level)
        drawn = line(
            ax,
            table,
            x,
            "loss",
            "law" if value is None else f"law at {by} = {_written(value)}",
            color=INK if scale is None or value is None else scale(value),
            label=value is None,
            band=band if k == 0 else "",
            strength=1.0 if value is None else 0.6,
            inside=inside_rows(result, table),
            lw=1.1,
        )
        lines.append(drawn)
    return lines


def _grid(values: pd.Series, within: tuple[float, float]) -> np.ndarray:
    """Where the law is drawn: somewhat beyond the runs, where an axis is logarithmic."""
    low, high = float(values.min()), float(values.max())
    if low <= 0 or high / low <= _DECADE:
        return np.linspace(low, high, _GRID)
    return np.geomspace(max(low / _ROOM, within[0]), min(high * _ROOM, within[1]), _GRID)


def _value_of(layer: Layer) -> str:
    return layer.name.removeprefix("law at ")


def _written(value: float) -> str:
    return power(value) if value > _COMPUTE else short(value)


def _inputs(result: Result) -> list[str]:
    return [name for name in result.law.inputs if name != result.law.response]


def _x_axis(ax: Axes, values: pd.Series) -> None:
    if values.min() > 0 and values.max() / values.min() > _DECADE:
        log_axis(ax.xaxis, power if values.name == "C" or values.max() > _COMPUTE else short)


def _label(result: Result, name: str) -> str:
    """What an input holds, as its law says it; its name where that is a long story."""
    meaning = str(result.law.inputs.get(name, name)).partition(",")[0]
    return INPUTS.get(name) or (meaning if len(meaning) <= _LONGEST else name)
