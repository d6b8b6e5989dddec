"""What a law misses at each run."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from scalinglab.analysis.fitting.far_residuals import outlying
from scalinglab.analysis.plot.frames import arrows, frame
from scalinglab.analysis.plot.labels import ERROR, INPUTS, SIZE
from scalinglab.analysis.plot.law_lines import LEVEL, far_from_law, interval_of_run, run_table
from scalinglab.analysis.plot.layers import points
from scalinglab.analysis.plot.marks import HELD_OUT
from scalinglab.analysis.plot.style import BAND, Scale, axes, category, finish, palette
from scalinglab.analysis.plot.ticks import log_axis
from scalinglab.analysis.tables.powers import power, short

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from scalinglab.analysis.fitting.result import Result

_PLACES = 80  # along the band
_SMOOTH = 0.12  # of the length of the runs: how far along x a run shapes the band
_END = 0.03  # of that length, which the band goes on beyond the outermost runs
_HELD = 3.0  # times the height of the points, that intervals may add on either side
_ARMS = 6  # that have a colour of their own


def residuals(
    result: Result,
    runs: pd.DataFrame,
    *,
    held_out: pd.DataFrame | None = None,
    x: str = "C",
    arm: str | None = None,
    level: float = LEVEL,
    ax: Axes | None = None,
) -> Axes:
    """The error of the law at each run, predicted over measured loss minus one, as in tables.

    The interval that a run falls in holds the doubt of the law and the noise between runs. Held-out
    runs have a bar for theirs.

    Parameters
    ----------
    result : Result
    runs, held_out : DataFrame
        With the columns that were fitted; `held_out` runs were not.
    x : str
        ``C``, or an input of the law.
    arm : str, optional
        A column of the runs: a colour and a marker for each of its values, instead of a colour a
        size. It shows which recipes one law misses.
    level : float
    ax : Axes, optional

    Returns
    -------
    Axes
    """
    ax = axes() if ax is None else ax
    more = () if arm is None else (arm,)
    fitted = _relative(run_table(result, runs, more))
    held_out_runs = None
    if held_out is not None and len(held_out):
        held_out_runs = _relative(run_table(result, held_out))
    scale = None
    if "N" in fitted and arm is None:  # the colours of other figures of these runs
        scale = Scale(_sizes(fitted, held_out_runs))
    level_known = len(result.draws) > 0
    ends = _interval(ax, result, fitted, x, level) if level_known else np.empty(0)
    ax.axhline(0, color="0.45", lw=0.8, zorder=1.6)
    away = far_from_law(result, fitted)
    if arm is None:
        color = palette()[0] if scale is None else scale(fitted["N"])
        points(ax, fitted, x, "error", "fitted runs", away=away, color=color)
    else:
        _by_arm(ax, fitted, x, arm, away)
    held_out_ends = None
    if held_out_runs is not None:
        if level_known:
            held_out_runs = _around_zero(result, held_out_runs, level)
        points(ax, held_out_runs, x, "error", "held-out runs", bars=False, **HELD_OUT)
        if level_known:
            held_out_ends = _bars(ax, held_out_runs, x)
            ends = np.concatenate([ends, held_out_ends[1], held_out_ends[2]])
    if fitted[x].min() > 0:
        log_axis(ax.xaxis, power if x == "C" else short)
    frame(ax, log=False, hold=_within_reach(fitted, away, ends))
    if held_out_ends is not None:
        arrows(ax, *held_out_ends, HELD_OUT["color"])
    if scale is not None:
        scale.bar(ax, SIZE)
    return finish(ax, INPUTS.get(x) or result.law.columns.get(x, x), f"{ERROR} (%)")


def _sizes(fitted: pd.DataFrame, held_out: pd.DataFrame | None) -> np.ndarray:
    tables = [fitted] if held_out is None else [fitted, held_out]
    return np.concatenate([table["N"].to_numpy(float) for table in tables if "N" in table])


def _within_reach(fitted: pd.DataFrame, away: np.ndarray, ends: np.ndarray) -> np.ndarray:
    """Ends of intervals for the frame; one that reaches far would press the points flat."""
    near = fitted.loc[~away, "error"] if not away.all() else fitted["error"]
    low, high = min(0.0, near.min()), max(0.0, near.max())
    room = _HELD * ((high - low) or 1.0)
    return np.clip(ends[np.isfinite(ends)], low - room, high + room)


def _by_arm(ax: Axes, fitted: pd.DataFrame, x: str, arm: str, away: np.ndarray) -> None:
    """A layer for each arm, those of fewest runs together where there are too many."""
    names = fitted[arm].astype(str)
    shown = list(names.value_counts().index[:_ARMS])
    for k, name in enumerate(sorted(shown)):
        rows = (names == name).to_numpy()
        points(ax, fitted[rows], x, "error", name, away=away[rows], **category(k))
    others = ~names.isin(shown).to_numpy()
    if others.any():
        rest = fitted[others]
        points(ax, rest, x, "error", "others", away=away[others], color="0.6", size=0.8)


def _relative(table: pd.DataFrame) -> pd.DataFrame:
    return table.assign(error=100 * (table["predicted"] / table["loss"] - 1))


def _around_zero(result: Result, table: pd.DataFrame, level: float) -> pd.DataFrame:
    """With the errors that the law would have at either end of the interval of a new run."""
    predicted = result.predict(table.drop(columns=["loss", "predicted"]), level=level)
    for end, loss in (("lower", "upper"), ("upper", "lower")):
        table[f"interval_{end}"] = 100 * (table["predicted"] / np.asarray(predicted[loss]) - 1)
    return table


def _without_far(result: Result) -> Result:
    """The law, with the noise of the points that lie near it: what a sound run is expected to be.

    One far run in fifty is at some places among the resamples' outermost 2.5% and at some not.
    """
    near = outlying(result.residuals, len(result.free)) == 0
    return replace(result, residuals=result.residuals[near], points=int(near.sum()))


def _interval(ax: Axes, result: Result, fitted: pd.DataFrame, x: str, level: float) -> np.ndarray:
    """Draw the interval that a run falls in, smooth along x: it depends on more than x. Its ends.

    At each place it is the mean of the intervals of the runs near it, by distance along the axis.
    Runs far from the law are no noise of the others.
    """
    table = _around_zero(_without_far(result), fitted, level)
    table = table.dropna(subset=["interval_lower", "interval_upper"])
    at = table[x].to_numpy(float)
    if not len(at):
        return np.empty(0)
    log = bool((at > 0).all())
    at = np.log(at) if log else at
    reach = float(np.ptp(at)) or 1.0
    places = np.linspace(at.min() - _END * reach, at.max() + _END * reach, _PLACES)
    nearness = np.exp(-0.5 * ((places[:, None] - at) / (_SMOOTH * reach)) ** 2)
    nearness /= nearness.sum(axis=1, keepdims=True)
    ends = table[["interval_lower", "interval_upper"]].to_numpy(float)
    low, high = (nearness @ ends).T
    ax.fill_between(
        np.exp(places) if log else places,
        low,
        high,
        color="0.4",
        alpha=BAND,
        lw=0,
        label=interval_of_run(level),
    )
    return np.concatenate([low, high])


def _bars(ax: Axes, table: pd.DataFrame, x: str) -> tuple[pd.Index, pd.Series, pd.Series]:
    """One bar a place: the widest ends of the runs there; places and ends."""
    ends = table.groupby(x).agg({"interval_lower": "min", "interval_upper": "max"})
    ax.vlines(
        ends.index,
        ends["interval_lower"],
        ends["interval_upper"],
        color=HELD_OUT["color"],
        alpha=0.35,
        lw=4,
        zorder=2,
        label="the same of a held-out run",
    )
    return ends.index, ends["interval_lower"], ends["interval_upper"]
