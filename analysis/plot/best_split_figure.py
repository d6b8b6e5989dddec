"""How the best size, the best number of tokens and their ratio grow with the budget."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from scalinglab.analysis.decisions.allocation import allocate
from scalinglab.analysis.decisions.cost_functions import SIX_ND, Cost
from scalinglab.analysis.plot.labels import COMPUTE, RATIO, SIZE, TOKENS, power, short
from scalinglab.analysis.plot.law_lines import LEVEL, interval_name, run_table
from scalinglab.analysis.plot.layers import beyond, frame, line, points
from scalinglab.analysis.plot.style import HELD_OUT, INK, axes, finish, palette
from scalinglab.analysis.plot.ticks import log_axis

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from scalinglab.analysis.decisions.isoflop import Minima
    from scalinglab.analysis.fitting.result import Result

_GRID = 24
_ROOM = 1.5
_RATIO = "tokens_per_parameter"
_LABELS = {"N": f"best {SIZE}", "D": f"best number of {TOKENS}", _RATIO: f"best {RATIO}"}


def best_size(
    result: Result,
    runs: pd.DataFrame,
    budgets: Iterable[float] = (),
    *,
    minima: Minima | None = None,
    cost: Cost = SIX_ND,
    level: float = LEVEL,
    ax: Axes | None = None,
) -> Axes:
    """The size of least loss N*(C) under a law, with its interval.

    Parameters
    ----------
    result : Result
        A fit of a law in N and D.
    runs : DataFrame
        The fitted runs: where the law was measured.
    budgets : iterable of float
        Each is marked with its interval.
    minima : Minima, optional
        Of IsoFLOP curves, from `analysis.isoflop_minima`: shown beside the law.
    cost : callable
        As in `analysis.allocate`.
    level : float
        Of the intervals of the parameters.
    ax : Axes, optional

    Returns
    -------
    Axes
    """
    return _grows(result, runs, "N", budgets, minima, cost, level, ax)


def best_tokens(
    result: Result,
    runs: pd.DataFrame,
    budgets: Iterable[float] = (),
    *,
    minima: Minima | None = None,
    cost: Cost = SIX_ND,
    level: float = LEVEL,
    ax: Axes | None = None,
) -> Axes:
    """The number of tokens of least loss D*(C); parameters as `best_size`."""
    return _grows(result, runs, "D", budgets, minima, cost, level, ax)


def best_ratio(
    result: Result,
    runs: pd.DataFrame,
    budgets: Iterable[float] = (),
    *,
    minima: Minima | None = None,
    cost: Cost = SIX_ND,
    level: float = LEVEL,
    ax: Axes | None = None,
) -> Axes:
    """Tokens per parameter of least loss D*/N*(C); parameters as `best_size`."""
    return _grows(result, runs, _RATIO, budgets, minima, cost, level, ax)


def _grows(
    result: Result,
    runs: pd.DataFrame,
    what: str,
    budgets: Iterable[float],
    minima: Minima | None,
    cost: Cost,
    level: float,
    ax: Axes | None,
) -> Axes:
    ax = axes() if ax is None else ax
    table = run_table(result, runs)
    table[_RATIO] = table["D"] / table["N"]
    table["C"] = cost(table["N"].to_numpy(float), table["D"].to_numpy(float))
    asked = sorted(budgets)
    low, measured = table["C"].min() / _ROOM, table["C"].max()
    high = max([measured, *asked]) * _ROOM
    points(ax, table, "C", what, "runs", color="0.6", size=0.75, alpha=0.7)
    along = allocate(result, np.geomspace(low, high, _GRID), cost=cost, level=level).table
    band = interval_name(level) if len(result.draws) else ""
    name = {"N": "law: N*(C)", "D": "law: D*(C)"}.get(what, "law: D*/N*(C)")
    line(ax, along, "C", what, name, color=palette()[0], band=band, lw=1.6)
    if minima is not None and len(minima.found):
        found = _of_minima(minima.found, what)
        points(ax, found, "C", what, "IsoFLOP minima", color=INK, marker="D", size=1.1)
    if asked:
        wanted = allocate(result, asked, cost=cost, level=level).table
        points(ax, wanted, "C", what, "requested budgets", color=HELD_OUT, marker="*", size=2)
    log_axis(ax.xaxis, power)
    log_axis(ax.yaxis, short)
    ax.set_xlim(low, high)
    frame(ax)
    beyond(ax, float(measured))
    return finish(ax, COMPUTE if cost is SIX_ND else "budget C", _LABELS[what])


def _of_minima(found: pd.DataFrame, what: str) -> pd.DataFrame:
    """Minima in N as N, as tokens, or as tokens per parameter."""
    table = pd.DataFrame({"C": found["C"].to_numpy(float)})
    for end, source in (("", "N"), ("_lower", "N_upper"), ("_upper", "N_lower")):
        size = found[source].to_numpy(float)
        if what == "N":
            size = found[f"N{end}"].to_numpy(float)
            table[f"N{end}"] = size
        else:
            tokens = table["C"] / (6 * size)
            table[f"{what}{end}"] = tokens if what == "D" else tokens / size
    return table
