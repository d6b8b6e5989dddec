"""Figures of an answer, each remade from records alone.

Every function takes an `Answer` and returns a matplotlib figure; nothing is drawn on import.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from matplotlib import colormaps
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, LogLocator, MaxNLocator, NullFormatter, NullLocator

from scalinglab.analysis.arms.scale import Ladder, along_ladder
from scalinglab.analysis.fitting.outliers import outlying
from scalinglab.analysis.plot.labels import (
    COMPUTE,
    LOSS,
    RATE,
    SHARES,
    SIZE,
    STEP,
    TOKENS,
    literal,
)
from scalinglab.scaling.records.state import State

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.axis import Axis

    from scalinglab.analysis.judgement.multiverse import Multiverse
    from scalinglab.analysis.reporting.answer import Answer

HELD_OUT = "#c8102e"
COLOURS = "viridis"
_APART = 0.035  # of the height of a panel, between the names of two lines
_NARROW, _WIDE = 4.0, 300.0  # ratio of an axis's ends: labels are evenly spaced below, powers above


def loss_against_compute(answer: Answer) -> Figure:
    """Loss against C = 6 N D: the runs, the law at each size, and its frontier."""
    figure, (ax,) = _figure(1)
    fitted, held_out = _parts(answer)
    low, high = answer.runs["C"].min() / 1.5, answer.runs["C"].max() * 1.5
    for n, colour in _sizes(answer.runs) if _is_line(answer) else ():
        compute = np.geomspace(low, high, 60)
        tokens = compute / (6 * n)
        near = (tokens > answer.runs["D"].min() / 2) & (tokens < answer.runs["D"].max() * 2)
        if not near.any():  # C is not 6 N D: N counts what a token does not pass through
            continue
        losses = _law(answer, n, tokens[near])
        ax.plot(compute[near], losses, color=colour, lw=0.8, alpha=0.7)
        ax.annotate(
            _short(n),
            (compute[near][0], losses[0]),
            fontsize=7,
            color="0.4",
            ha="center",
            va="bottom",
        )
    _scatter(ax, fitted, held_out, "C")
    _frontier(ax, answer, low, high)
    _logarithmic(ax, COMPUTE, LOSS, _power)
    _clip(ax, fitted["C"], fitted["loss"], _away(answer, fitted), held_out["loss"])
    ax.legend(fontsize=8)
    return figure


def loss_against_size_and_tokens(answer: Answer) -> Figure:
    """Loss against N at each D, and against D at each N, with the law."""
    figure, (left, right) = _figure(2)
    fitted, held_out = _parts(answer)
    span_n = np.geomspace(answer.runs["N"].min() / 1.3, answer.runs["N"].max() * 1.3, 80)
    span_d = np.geomspace(answer.runs["D"].min() / 1.3, answer.runs["D"].max() * 1.3, 80)
    for d in sorted(answer.runs["D"].unique()) if _is_line(answer) else ():
        left.plot(span_n, _law(answer, span_n, d), color="0.6", lw=0.8, label=_short(d))
    for n, colour in _sizes(answer.runs) if _is_line(answer) else ():
        right.plot(span_d, _law(answer, n, span_d), color=colour, lw=0.8, label=_short(n))
    _scatter(left, fitted, held_out, "N")
    _scatter(right, fitted, held_out, "D")
    _logarithmic(left, f"{SIZE}; lines: tokens D", LOSS)
    _logarithmic(right, f"{TOKENS}; lines: parameters N", LOSS)
    for ax, x in ((left, "N"), (right, "D")):
        _clip(ax, fitted[x], fitted["loss"], _away(answer, fitted), held_out["loss"])
        _name_lines(ax)
    return figure


def residuals(answer: Answer) -> Figure:
    """Measured over predicted loss, minus one, against C; held-out runs with their intervals."""
    figure, (ax,) = _figure(1)
    fitted, held_out = _parts(answer)
    ax.axhline(0, color="0.5", lw=0.8)
    predicted = np.asarray(answer.law.predict(fitted)["loss"])
    sizes = dict(_sizes(answer.runs))
    ax.scatter(
        fitted["C"], 100 * (fitted["loss"] / predicted - 1), c=[sizes[n] for n in fitted["N"]], s=22
    )
    bars: list[pd.Series] = []
    if not held_out.empty:
        table = answer.held_out
        middle = 100 * (table["loss"] / table["predicted"] - 1)
        # The interval of the prediction, seen from the prediction.
        below = 100 * (1 - table["lower"] / table["predicted"])
        above = 100 * (table["upper"] / table["predicted"] - 1)
        bars = [middle, -below, above]
        ax.errorbar(
            table["C"],
            np.zeros(len(table)),
            yerr=np.stack([below, above]),
            fmt="none",
            ecolor=HELD_OUT,
            alpha=0.35,
            lw=5,
        )
        ax.scatter(
            table["C"],
            middle,
            marker="*",
            s=110,
            color=HELD_OUT,
            zorder=3,
            label="held out (bar: prediction interval)",
        )
        ax.legend(fontsize=8, loc="upper left")
    _clip(ax, fitted["C"], 100 * (fitted["loss"] / predicted - 1), _away(answer, fitted), *bars)
    ax.set_xscale("log")
    _log_ticks(ax.xaxis, _power)
    ax.set_xlabel(COMPUTE)
    ax.set_ylabel("residual: measured / predicted loss − 1 (%)")
    ax.grid(alpha=0.2)
    return figure


def curves(answer: Answer) -> Figure | None:
    """Validation curves under several schedules, with the curve law; None without one."""
    if answer.curve_law is None:
        return None
    figure, (left, right) = _figure(2)
    held_out = set(answer.curve_check["run"])
    for i, (run, curve) in enumerate(answer.curves.groupby("run")):
        colour = HELD_OUT if run in held_out else f"C{i}"
        schedule = literal(curve["schedule"].iloc[0])
        name = schedule + (" (predicted)" if run in held_out else " (fitted)")
        measured = curve[curve["loss"].notna()]
        right.plot(curve["step"], curve["lr"], color=colour, label=schedule)
        left.plot(measured["step"], measured["loss"], "o", ms=3.5, color=colour)
        left.plot(
            curve["step"], answer.curve_law.predict(curve)["loss"], color=colour, lw=1, label=name
        )
    losses = answer.curves["loss"].dropna().to_numpy(float)
    left.set_ylim(losses.min() * 0.97, float(np.quantile(losses, 0.75)) * 1.2)
    left.set_xscale("log")
    _log_ticks(left.xaxis, _short)
    left.set_xlabel(STEP)
    left.set_ylabel(f"{LOSS}; lines: law")
    left.legend(fontsize=8)
    right.set_xlabel(STEP)
    right.set_ylabel(RATE)
    right.legend(fontsize=8)
    for ax in (left, right):
        ax.grid(alpha=0.2)
    return figure


def arms(answer: Answer) -> Figure | None:
    """Loss of arm B over that of A against C: pairs, and the laws; None without arms."""
    found = None if answer.outlook is None else answer.outlook.arms
    if found is None or not len(found.pairs.table):
        return None
    figure, (ax,) = _figure(1)
    pairs = found.pairs.table
    ax.axhline(0, color="0.5", lw=0.8)
    ax.scatter(
        6 * pairs["N"] * pairs["D"],
        100 * (pairs["ratio"] - 1),
        s=22,
        zorder=3,
        label="paired runs",
    )
    if found.result is not None:
        _band_of_arms(ax, answer)
    ax.set_xscale("log")
    _log_ticks(ax.xaxis, _power)
    ax.set_xlabel(COMPUTE)
    a, b = map(literal, found.arms)
    ax.set_ylabel(f"loss of {b} / loss of {a} − 1 (%)")
    ax.legend(fontsize=8)
    ax.grid(alpha=0.2)
    return figure


def _band_of_arms(ax: Axes, answer: Answer) -> None:
    assert answer.outlook is not None and answer.outlook.arms is not None
    found = answer.outlook.arms
    assert found.result is not None
    pairs = found.pairs.table
    both = pd.concat([pairs.assign(_arm=arm) for arm in found.arms])
    ladder = Ladder.of(both)
    grid = np.geomspace(ladder.low, 10 * ladder.top, 24)
    table = along_ladder(found.result, found.arms, ladder, grid.tolist(), answer.outlook.level)
    ax.plot(table["C"], 100 * (table["ratio"] - 1), color="black", lw=1.2, label="laws")
    if table["ratio_lower"].notna().all():
        ax.fill_between(
            table["C"],
            100 * (table["ratio_lower"] - 1),
            100 * (table["ratio_upper"] - 1),
            color="C0",
            alpha=0.2,
            lw=0,
            label=f"{answer.outlook.level:.0%} interval of the laws",
        )
    ax.axvspan(
        ladder.top, grid[-1], color="0.5", alpha=0.12, lw=0, label="outside the measured compute"
    )


def multiverse(found: Multiverse) -> Figure | None:
    """Every answer, sorted and coloured by the choice that matters most, and the choices' parts."""
    if found.shares.empty:
        return None
    figure, (left, right) = _figure(2)
    most = found.shares["choice"][0]
    known = found.table.dropna(subset="answer").sort_values("answer", ignore_index=True)
    for k, (name, own) in enumerate(known.groupby(most, sort=False)):
        left.scatter(own.index + 1, own["answer"], s=20, color=f"C{k}", label=literal(name))
    left.set_yscale("log")
    _log_ticks(left.yaxis, _short)
    left.set_xlabel("analysis variant, sorted by answer")
    left.set_ylabel(literal(found.of))
    left.legend(fontsize=8, title=literal(most), title_fontsize=8)
    rows = found.shares.iloc[::-1]
    choices = [literal(choice) for choice in rows["choice"]]
    right.barh(choices, 100 * rows["whole"], color="0.8", label=SHARES["whole"])
    right.barh(choices, 100 * rows["own"], color="C0", height=0.4, label=SHARES["own"])
    right.set_xlabel("share of the variance of the log answer (%)")
    right.set_xlim(0, 105)
    right.legend(fontsize=8, loc="lower right")
    for ax in (left, right):
        ax.grid(alpha=0.2)
    return figure


def _figure(columns: int) -> tuple[Figure, list[Axes]]:
    figure = Figure(figsize=(5.6 * columns if columns > 1 else 7.4, 4.2), layout="constrained")
    axes = figure.subplots(1, columns, squeeze=False)[0]
    for ax in axes:
        ax.spines[["top", "right"]].set_visible(False)
    return figure, list(axes)


def _parts(answer: Answer) -> tuple[pd.DataFrame, pd.DataFrame]:
    runs = answer.runs[answer.runs["status"] == State.DONE]
    roles = runs["role"].str.split(",")
    return (
        runs[[("fit" in names) for names in roles]],
        runs[[("held_out" in names) for names in roles]],
    )


def _sizes(runs: pd.DataFrame) -> list[tuple[int, tuple[float, ...]]]:
    """Sizes with a colour each, small to large."""
    sizes = sorted(runs["N"].unique())
    places = np.linspace(0.05, 0.85, len(sizes))
    return [(n, colormaps[COLOURS](p)) for n, p in zip(sizes, places, strict=True)]


def _law(answer: Answer, n: float | np.ndarray, d: float | np.ndarray) -> np.ndarray:
    n, d = np.broadcast_arrays(np.atleast_1d(n).astype(float), np.atleast_1d(d).astype(float))
    frame = pd.DataFrame({"N": n, "D": d, "C": 6 * n * d})
    return np.asarray(answer.law.predict(frame)["loss"])


def _is_line(answer: Answer) -> bool:
    """Whether N and D are all that the law reads; of experts, say, it would be one line each."""
    read = answer.law.columns
    return {read.get(name, name) for name in answer.law.law.inputs} <= {"N", "D", "C"}


def _frontier(ax: Axes, answer: Answer, low: float, high: float) -> None:
    """The lowest loss that the law gives at each C, over all N."""
    if not _is_line(answer):
        return
    compute = np.geomspace(low, high, 60)
    sizes = np.geomspace(answer.runs["N"].min() / 4, answer.runs["N"].max() * 4, 300)
    losses = np.stack([_law(answer, sizes, c / (6 * sizes)) for c in compute])
    ax.plot(compute, losses.min(axis=1), color="black", lw=1.4, label="frontier of the law")


def _away(answer: Answer, fitted: pd.DataFrame) -> np.ndarray:
    """Which fitted runs lie far from the law: their warning names them."""
    predicted = np.asarray(answer.law.predict(fitted)["loss"])
    residual = np.log(fitted["loss"].to_numpy(float) / predicted)
    return outlying(residual, len(answer.law.free), answer.law.noise) > 0


def _clip(ax: Axes, x: pd.Series, y: pd.Series, away: np.ndarray, *also: pd.Series) -> None:
    """Leave points far from the law out of the limits, with a marker at the edge and their value.

    One run that diverged would else press all others into a line.
    """
    if not away.any():
        return
    lines = [np.asarray(line.get_ydata(), float) for line in ax.lines]
    lines = [values for values in lines if len(values) > 2]
    shown = np.concatenate([np.asarray(d, float) for d in (y[~away], *also, *lines)])
    low, high = np.nanmin(shown), np.nanmax(shown)
    margin = 0.06 * (high - low)
    ax.set_ylim(low - margin, high + margin)
    for at, value in zip(x[away], y[away], strict=True):
        above = value > high
        if low <= value <= high:
            continue
        ax.plot(
            [at],
            [high + margin / 2 if above else low - margin / 2],
            "^" if above else "v",
            color=HELD_OUT,
            ms=7,
            zorder=5,
            label="_beyond",
        )
        ax.annotate(
            f"{value:.3g}",
            (at, high + margin / 2 if above else low - margin / 2),
            (6, -3),
            textcoords="offset points",
            fontsize=7,
            color=HELD_OUT,
        )


def _name_lines(ax: Axes) -> None:
    """The labels of the lines at their right ends, one above the other where lines run together."""
    low, high = np.log(ax.get_ylim())
    ends = sorted(
        (
            float(np.asarray(line.get_ydata())[-1]),
            float(np.asarray(line.get_xdata())[-1]),
            str(line.get_label()),
        )
        for line in ax.lines
        if line.get_label() != "_beyond"
    )
    at = -np.inf
    for y, x, name in ends:
        at = max((np.log(y) - low) / (high - low), at + _APART)
        ax.annotate(
            name,
            (x, at),
            (3, 0),
            xycoords=("data", "axes fraction"),
            textcoords="offset points",
            fontsize=7,
            color="0.4",
            va="center",
        )


def _scatter(ax: Axes, fitted: pd.DataFrame, held_out: pd.DataFrame, x: str) -> None:
    sizes = dict(_sizes(pd.concat([fitted, held_out])))
    ax.scatter(
        fitted[x],
        fitted["loss"],
        c=[sizes[n] for n in fitted["N"]],
        s=22,
        zorder=3,
        label="fitted runs",
    )
    if not held_out.empty:
        ax.scatter(
            held_out[x],
            held_out["loss"],
            marker="*",
            s=110,
            color=HELD_OUT,
            zorder=4,
            label="held out",
        )


def _logarithmic(ax: Axes, x: str, y: str, form: Callable[[float], str] | None = None) -> None:
    ax.set_xscale("log")
    ax.set_yscale("log")
    _log_ticks(ax.xaxis, form or _short)
    ax.yaxis.set_major_locator(MaxNLocator(7))
    ax.yaxis.set_minor_locator(NullLocator())
    ax.yaxis.set_major_formatter("{x:.2f}")
    ax.set_xlabel(x)
    ax.set_ylabel(y)
    ax.grid(alpha=0.2)


def _log_ticks(axis: Axis, form: Callable[[float], str]) -> None:
    """Labels that do not run into one another, whatever part of a decade is shown."""
    low, high = axis.get_data_interval()
    if high / low < _NARROW:
        axis.set_major_locator(MaxNLocator(6))
    else:
        subs = (1.0, 2.0, 5.0) if high / low < _WIDE else (1.0,)
        axis.set_major_locator(LogLocator(subs=subs, numticks=12))
    axis.set_major_formatter(FuncFormatter(lambda value, _: form(value)))
    axis.set_minor_formatter(NullFormatter())


def _power(value: float) -> str:
    digit, exponent = f"{value:.0e}".split("e")
    return f"{digit}e{int(exponent)}"


def _short(value: float) -> str:
    for size, letter in ((1e9, "B"), (1e6, "M"), (1e3, "k")):
        if value >= size:
            return f"{value / size:.3g}{letter}"
    return f"{value:.3g}"
