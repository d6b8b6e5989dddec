"""Any measured quantity against any setting, a colour and a marker a group of runs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import matplotlib as mpl
import numpy as np
import pandas as pd
from scipy.special import stdtrit

from scalinglab.analysis.plot.frames import frame, loss_of_failure
from scalinglab.analysis.plot.labels import INPUTS, LOSS, RATE, decimal, literal
from scalinglab.analysis.plot.law_lines import LEVEL, interval_name
from scalinglab.analysis.plot.layers import PLACE, line, points
from scalinglab.analysis.plot.style import BAND, NEUTRAL, Scale, axes, category, figure_of, finish
from scalinglab.analysis.plot.ticks import log_axis, loss_axis
from scalinglab.analysis.tables.powers import power, short
from scalinglab.scaling.errors import UserError
from scalinglab.scaling.text.printable import one_line

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_FEW = 6  # groups that have a colour and a marker of their own
_EACH = 5  # different places along x, up to which each has its tick
_BARS = 1.0  # of the height of the points, that their intervals may add on either side
_RATIO = 3.0  # of the ends of an axis, from which it is logarithmic
_DODGE = 0.12  # of the step between two names along x
_COUNTS = ("N", "D", "tokens", "n_active", "n_total", "unique_tokens")
_KEPT = ("run_id", "N", "D", "lr", "seed")  # told of a point where they are known


def measured_against(
    runs: pd.DataFrame,
    x: str,
    y: str = "loss",
    *,
    by: str | None = None,
    labels: tuple[str, str] = ("", ""),
    joined: bool = True,
    level: float = LEVEL,
    ax: Axes | None = None,
) -> Axes:
    """What was measured of some runs against a setting, with the line through their means.

    Parameters
    ----------
    runs : DataFrame
        `x` (numbers or names), `y`, ``run_id`` where known. Ends of intervals of `y` in
        ``<y>_lower`` and ``<y>_upper`` are drawn as bars; without them a line has the interval of
        its means by the scatter of repeats, pooled over all places, where runs are repeated.
    x, y : str
    by : str, optional
        A column: a colour and a marker for each of its values; a colour bar for many numbers.
    labels : (str, str)
        Of the axes; default: what the columns are known to hold, else their names.
    joined : bool
        Whether a line goes through the means of each group.
    level : float
        Of the intervals of means.
    ax : Axes, optional

    Returns
    -------
    Axes

    Raises
    ------
    UserError
        If no run has a finite value.
    """
    if by is not None and not pd.api.types.is_numeric_dtype(runs[by]):
        runs = runs.assign(**{by: [one_line(str(name)) for name in runs[by]]})
    measured = runs[np.isfinite(pd.to_numeric(runs[y]))]
    if measured.empty:
        raise UserError(f"no run has a finite {y}: there is nothing to draw")
    ax = axes() if ax is None else ax
    runs, names = _placed(runs, x)
    along = PLACE if names else x
    ends = [name for name in (f"{y}_lower", f"{y}_upper") if name in runs]
    columns = dict.fromkeys([*_KEPT, *([] if by is None else [by]), x, along, y, *ends])
    table = runs[[name for name in columns if name in runs]].reset_index(drop=True)
    groups = [("", table)] if by is None else list(table.groupby(by, sort=False))
    scale = _scale(table, by, len(groups))
    scatter = _scatter(table, along, y, by) if joined and not ends else None
    far = loss_of_failure(table[y].to_numpy(float)) if y == "loss" else np.inf
    has_band, step = False, _step(ax, names)
    for k, (value, group) in enumerate(groups):
        look: dict[str, Any] = category(k)
        if scale is not None:
            look = {"color": mpl.colors.to_hex(scale(value)), "marker": "o"}
        name = _group_name(value, by)
        aside = step * _DODGE * (k - (len(groups) - 1) / 2)  # of names: side by side
        if joined:
            means = _means(group, along, y, scatter, level)
            if names:
                means[x] = [names[int(place)] for place in means[PLACE]]
            has_band |= f"{y}_lower" in means
            style = {"color": look["color"], "lw": 1.2, "label": False}
            line(ax, means, along, y, f"mean, {name}" if name else "mean", aside=aside, **style)
        away = ~(group[y].to_numpy(float) <= far)
        look |= {"away": away, "label": scale is None and bool(name), "aside": aside}
        points(ax, group, along, y, name, **look)
    if has_band:
        ax.fill_between([], [], [], color=NEUTRAL, alpha=BAND, lw=0, label=interval_name(level))
    if scale is not None and by is not None:
        scale.bar(ax, INPUTS.get(by, by))
    _axes(ax, table, along, y, names)
    label_x, label_y = labels
    return finish(ax, literal(label_x or _label(x)), literal(label_y or _label(y)))


def _placed(runs: pd.DataFrame, x: str) -> tuple[pd.DataFrame, list[str]]:
    """The runs with the places 0, 1, ... of names along x, and these names; none for numbers."""
    if pd.api.types.is_numeric_dtype(runs[x]):
        return runs, []
    names = list(dict.fromkeys(runs[x].astype(str)))
    return runs.assign(**{PLACE: runs[x].astype(str).map(names.index).astype(float)}), names


def _step(ax: Axes, names: Sequence[str]) -> float:
    """Typographic points from one name to the next, 0 for numbers."""
    width = ax.get_position().width * figure_of(ax).get_figwidth() * 72
    return width / len(names) if names else 0.0


def _scale(table: pd.DataFrame, by: str | None, count: int) -> Scale | None:
    """Colours of numbers, where they are more than have a colour of their own."""
    if by is None or count <= _FEW or not pd.api.types.is_numeric_dtype(table[by]):
        return None
    return Scale(table[by])


def _group_name(value: Any, by: str | None) -> str:
    if isinstance(value, float | int | np.number) and by is not None:
        number = float(value)
        is_count = by in _COUNTS or abs(number) >= 1e6
        return f"{by} = {short(number) if is_count else f'{number:,.6g}'}"
    return str(value)


def _scatter(table: pd.DataFrame, x: str, y: str, by: str | None) -> tuple[float, int] | None:
    """Standard deviation of log y between repeats and its degrees of freedom; None without."""
    finite = table[np.isfinite(table[y]) & (table[y] > 0)]
    logs = np.log(finite[y].astype(float))
    groups = logs.groupby([finite[name] for name in (x, *([] if by is None else [by]))])
    spare = int((groups.size() - 1).sum())
    if not spare:
        return None
    return float(np.sqrt(((logs - groups.transform("mean")) ** 2).sum() / spare)), spare


def _means(
    group: pd.DataFrame, x: str, y: str, scatter: tuple[float, int] | None, level: float
) -> pd.DataFrame:
    """The mean at each place, with its interval where the scatter of repeats is known."""
    finite = group[np.isfinite(group[y])]
    cells = finite.groupby(x)[y]
    means = cells.mean().reset_index()
    if scatter is None:
        return means
    noise, spare = scatter
    half = stdtrit(spare, (1 + level) / 2) * noise / np.sqrt(cells.size().to_numpy())
    low, high = means[y] * np.exp(-half), means[y] * np.exp(half)
    return means.assign(**{f"{y}_lower": low, f"{y}_upper": high})


def _axes(ax: Axes, table: pd.DataFrame, x: str, y: str, names: Sequence[str]) -> None:
    """Ticks at names and at few places, else of the fitting scale; the frame holds the values."""
    places = np.unique(table[x].to_numpy(float))
    values = table[y].to_numpy(float)
    values = values[np.isfinite(values)]
    if not names and places[0] > 0 and places[-1] > _RATIO * places[0]:
        form = power if places[-1] > 1e12 else short if places[-1] >= 1e4 else decimal
        log_axis(ax.xaxis, form)
    is_log = bool(values.min() > 0) and (y.endswith(("loss", "bpb")) or _is_wide(values))
    if is_log:
        (log_axis(ax.yaxis, decimal) if _is_wide(values) else loss_axis(ax.yaxis))
    frame(ax, log=is_log, far=_BARS)
    if names:
        ax.set_xlim(-0.5, len(names) - 0.5)
        ax.set_xticks(range(len(names)), [literal(name) for name in names], rotation=30, ha="right")
    elif len(places) <= _EACH:
        form = short if x in _COUNTS or places[-1] >= 1e6 else "{:,.6g}".format
        ax.set_xticks(places, [form(v) for v in places])
        ax.set_xticks([], minor=True)


def _is_wide(values: np.ndarray) -> bool:
    return bool(values.max() > _RATIO * values.min())


def _label(name: str) -> str:
    return {"loss": LOSS, "lr": RATE, **INPUTS}.get(name, name)
