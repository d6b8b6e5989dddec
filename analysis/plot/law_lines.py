"""Tables behind the figures of a law: its runs, its lines with intervals, its best splits."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from scalinglab.analysis.decisions.optimum import best_split
from scalinglab.analysis.fitting.far_residuals import outlying
from scalinglab.analysis.plot.style import Scale

if TYPE_CHECKING:
    from scalinglab.analysis.fitting.result import Result

_LINE = 80  # points of a line
LEVEL = 0.95
_LINES = 5  # of a law in one figure
_HELD_OUT = 3  # of these, at most, of what was held out
_LENGTHS = 3  # numbers of tokens of a size, from which it has a line


def of_size_and_tokens(result: Result) -> bool:
    """Whether N and D, and nothing else, are what the law reads.

    One of experts, say, would need a line each; one of D alone has no best split.
    """
    read = result.columns
    return {"N", "D"} <= set(result.law.inputs) and {
        read.get(name, name) for name in result.law.inputs
    } <= {read.get(name, name) for name in ("N", "D", "C")}


def run_table(result: Result | None, runs: pd.DataFrame, more: Sequence[str] = ()) -> pd.DataFrame:
    """The runs as figures need them: ``run_id``, the law's inputs under its own names, ``C``, the
    response as ``loss`` and the law's ``predicted``; without a law ``N, D, C, loss``. Columns
    `more` are kept as they are.
    """
    if result is None:
        names = [name for name in ("run_id", *more, "N", "D", "C", "loss") if name in runs]
        return runs.loc[np.isfinite(runs["loss"]), names].reset_index(drop=True)
    response = result.columns.get(result.law.response, result.law.response)
    response = response if response in runs else result.law.response
    table = pd.DataFrame(index=runs.index)
    names = [name for name in ("run_id", "run") if name in runs]
    if names:
        table["run_id"] = runs[names[0]].astype(str)
    for name in more:
        table[name] = runs[name]
    for name in dict.fromkeys(("N", "D", *result.law.inputs)):
        source = result.columns.get(name, name)
        source = source if source in runs else name
        if source in runs and source != response:
            table[name] = pd.to_numeric(runs[source])
    if "C" in runs:
        table["C"] = pd.to_numeric(runs["C"])
    elif {"N", "D"} <= set(table):
        table["C"] = 6 * table["N"] * table["D"]
    table["loss"] = pd.to_numeric(runs[response])
    table["predicted"] = np.asarray(result.predict(runs)[result.law.response])
    return table[np.isfinite(table["loss"])].reset_index(drop=True)


def line_values(
    fitted: Iterable[float], held_out: Iterable[float] = (), most: int = _LINES
) -> np.ndarray:
    """The values at which a figure draws a law's line, ascending, evenly apart in logarithms.

    A held-out run is compared with the line of its own value, so such values come first.
    """
    own = Scale(list(held_out)).few(min(_HELD_OUT, most))
    others = np.setdiff1d(Scale(list(fitted)).values, own)
    rest = Scale(others).few(most - len(own)) if len(others) and most > len(own) else others[:0]
    return np.union1d(own, rest)


def often_trained(runs: pd.DataFrame) -> np.ndarray:
    """Sizes that were trained for several numbers of tokens: elsewhere a line along tokens is a
    scrap through one run.
    """
    lengths = runs.groupby("N")["D"].nunique()
    return lengths.index[lengths >= _LENGTHS].to_numpy(float)


def line_sizes(fitted: pd.DataFrame, held_out: pd.DataFrame | None) -> np.ndarray:
    """The sizes whose lines all figures of some runs draw, ascending.

    Parameters
    ----------
    fitted : DataFrame
        Those near the law: a far run may lie off the axes, and its size would have a line there.
    held_out : DataFrame or None
    """
    own = [] if held_out is None else held_out["N"].to_list()
    often = often_trained(fitted if held_out is None else pd.concat([fitted, held_out]))
    return line_values(often, own)


def far_from_law(result: Result, table: pd.DataFrame) -> np.ndarray:
    """Whether each run lies far from the law, shape (runs,): the fit's warning names them."""
    residual = np.log(table["loss"].to_numpy(float) / table["predicted"].to_numpy(float))
    return outlying(residual, len(result.free)) > 0


def law_line(
    result: Result, N: Any, D: Any, level: float | None = LEVEL, **more: Any
) -> pd.DataFrame:
    """The law along some N and D: ``N, D, C, loss`` and the interval of the law."""
    N, D = np.broadcast_arrays(np.atleast_1d(np.asarray(N, float)), np.asarray(D, float))
    table = pd.DataFrame({"N": N, "D": D, "C": 6 * N * D})
    return with_predictions(result, table.assign(**more), level)


def with_predictions(
    result: Result, table: pd.DataFrame, level: float | None = LEVEL
) -> pd.DataFrame:
    """A table with the law's ``loss``, and its interval ``loss_lower``,
    ``loss_upper`` if it has one.
    """
    table = table.assign(loss=np.asarray(result.predict(table)[result.law.response]))
    if level is None or not len(result.draws):
        return table
    ends = result.band(table.drop(columns="loss"), level)
    return table.assign(loss_lower=np.asarray(ends["lower"]), loss_upper=np.asarray(ends["upper"]))


def frontier(result: Result, low: float, high: float, level: float | None = LEVEL) -> pd.DataFrame:
    """The law at the best split of each budget from `low` to `high`."""
    cost = np.geomspace(low, high, _LINE)
    params = np.repeat(result.params_and_draws()[:1], len(cost), axis=0)
    N, D = best_split(result.law, params, cost)
    has_split = np.isfinite(N) & np.isfinite(D)
    if not has_split.any():
        return pd.DataFrame({name: [] for name in ("N", "D", "C", "loss")}, dtype=float)
    return law_line(result, N[has_split], D[has_split], level)


def inside_rows(result: Result, table: pd.DataFrame) -> np.ndarray:
    """Whether each place lies in the fitted range of a law, by the rule of tables and warnings.

    Rows of a line are close to each other: the range ends between two of them.
    """
    names = {name for axis in result.measured.ends for part in axis for name in part.split("/")}
    if not names <= set(table):
        return np.ones(len(table), bool)
    return result.measured.inside({name: table[name].to_numpy(float) for name in names})


def interval_of_run(level: float) -> str:
    """What a band is that a run falls in: the law's doubt and the noise between runs."""
    return f"{level:.0%} interval of a run"


def interval_name(level: float) -> str:
    """What the band of a law is, for the legend: short, so that entries fit beside each other."""
    return f"{level:.0%} interval"
