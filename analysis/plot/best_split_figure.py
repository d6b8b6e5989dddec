"""How the best size, the best number of tokens and their ratio grow with the budget."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

import pandas as pd

from scalinglab.analysis.decisions.cost_functions import SIX_ND, Cost
from scalinglab.analysis.plot.frames import frame
from scalinglab.analysis.plot.labels import COMPUTE, RATIO, SIZE, TOKENS
from scalinglab.analysis.plot.law_lines import LEVEL, interval_name
from scalinglab.analysis.plot.layers import line, points
from scalinglab.analysis.plot.marks import BACKGROUND_RUNS, BUDGET, ENVELOPE, MINIMUM
from scalinglab.analysis.plot.split_path import SplitPath, split_path
from scalinglab.analysis.plot.style import axes, finish, palette
from scalinglab.analysis.plot.ticks import log_axis
from scalinglab.analysis.tables.powers import power, short

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from scalinglab.analysis.decisions.isoflop import Minima
    from scalinglab.analysis.fitting.result import Result

RATIO_COLUMN = "tokens_per_parameter"
_LABELS = {"N": f"best {SIZE}", "D": f"best number of {TOKENS}", RATIO_COLUMN: f"best {RATIO}"}


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

    Where the law has no best split nothing is drawn: its loss falls to the end of the sizes.

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

    Raises
    ------
    UserError
        If the law is not one of N and D.
    """
    return draw_split(split_path(result, runs, budgets, cost=cost, level=level), "N", minima, ax=ax)


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
    return draw_split(split_path(result, runs, budgets, cost=cost, level=level), "D", minima, ax=ax)


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
    path = split_path(result, runs, budgets, cost=cost, level=level)
    return draw_split(path, RATIO_COLUMN, minima, ax=ax)


def draw_split(
    splits: SplitPath,
    quantity: str,
    minima: Minima | None = None,
    *,
    envelope: pd.DataFrame | None = None,
    ax: Axes | None = None,
) -> Axes:
    """Draw N, D or `RATIO_COLUMN` along a path of best splits that several figures share.

    `envelope` has the best splits of the budgets by another approach, with intervals.
    """
    ax = axes() if ax is None else ax
    points(ax, splits.runs, "C", quantity, "runs", **BACKGROUND_RUNS)
    band = interval_name(splits.level) if splits.has_intervals else ""
    name = {"N": "law: N*(C)", "D": "law: D*(C)"}.get(quantity, "law: D*/N*(C)")
    if len(splits.path):
        style: dict[str, Any] = {"color": palette()[0], "inside": splits.inside, "lw": 1.6}
        line(ax, splits.path, "C", quantity, name, band=band, **style)
    if len(splits.budgets):
        is_inside = splits.budgets_inside
        name = "budgets of the answer"
        points(ax, splits.budgets, "C", quantity, name, inside=is_inside, **BUDGET)
    if envelope is not None and len(envelope):
        points(ax, envelope, "C", quantity, "envelope of final losses", **ENVELOPE)
    if minima is not None and len(minima.found):
        table = _of_minima(minima.found, quantity)
        points(ax, table, "C", quantity, "IsoFLOP minima", **MINIMUM)
    log_axis(ax.xaxis, power)
    log_axis(ax.yaxis, short)
    ax.set_xlim(splits.low, splits.high)
    frame(ax)
    return finish(ax, COMPUTE if splits.cost is SIX_ND else "budget C", _LABELS[quantity])


def _of_minima(minima: pd.DataFrame, quantity: str) -> pd.DataFrame:
    """Minima in N as N, as tokens, or as tokens per parameter."""
    table = pd.DataFrame({"C": minima["C"].to_numpy(float)})
    for end, source in (("", "N"), ("_lower", "N_upper"), ("_upper", "N_lower")):
        size = minima[source].to_numpy(float)
        if quantity == "N":
            size = minima[f"N{end}"].to_numpy(float)
            table[f"N{end}"] = size
        else:
            tokens = table["C"] / (6 * size)
            table[f"{quantity}{end}"] = tokens if quantity == "D" else tokens / size
    return table
