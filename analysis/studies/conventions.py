"""How the exponent of the optimal size depends on the conventions of N and C.

In Porian et al. (arXiv 2406.19146) the exponent a of N* ~ C^a ranges from 0.83 to 0.50 with the
accounting and the recipe. Here one set of runs is counted in several ways: each count of N gets its
own law, and under each convention of FLOPs the best size for a budget is found along the ladder's
shapes.
"""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np
import pandas as pd

from scalinglab.analysis import plot
from scalinglab.analysis.default_laws import LAW
from scalinglab.analysis.fitting.fit import fit
from scalinglab.analysis.fitting.lockstep import in_lockstep
from scalinglab.analysis.fitting.result import Result
from scalinglab.analysis.intervals.spread import quantiles
from scalinglab.analysis.laws import find
from scalinglab.analysis.reporting.drawn import drawn
from scalinglab.analysis.reporting.verdict import VERDICTS, Finding
from scalinglab.analysis.tables.imported import COUNTS
from scalinglab.analysis.tables.study_runs import with_role
from scalinglab.analysis.tables.typed import highest, lowest, names_of, records_of
from scalinglab.scaling.errors import UserError

_SIZES = 400
_BUDGETS = 9
_DRAWS = 200


@VERDICTS.register("conventions")
def judge(
    runs: pd.DataFrame,
    *,
    counts: list[str] | None = None,
    conventions: list[str] | None = None,
    resamples: int = 200,
    law: str = LAW,
    delta: float | str | None = None,
) -> Finding:
    """The exponent under every count of N and every convention of C.

    Parameters
    ----------
    runs : DataFrame
        ``D, loss``, a column for each count of N, and for each convention the training FLOPs of a
        token as ``flops_<convention>``. Runs held out or diverged are left out.
    counts, conventions : list of str, optional
        Default: those that the table has.
    resamples : int
        Of each fit, for the intervals.
    law : str
        A law in N and D.
    delta : float or str, optional
        Of the fits; see `analysis.fit`.
    """
    runs = _fitted(runs)
    counts = counts or _different_counts(runs)
    conventions = conventions or [c.removeprefix("flops_") for c in names_of(runs) if _is_flops(c)]
    options: dict[str, Any] = {
        "resamples": resamples,
        "seed": 0,
        "delta": delta,
        "mix_fingerprints": True,
    }
    # One law of several counts of N: the fits share their steps.
    results = in_lockstep(
        [partial(fit, law, runs.assign(N=runs[count]), **options) for count in counts]
    )
    rows = []
    for count, result in zip(counts, results, strict=True):
        for convention in conventions:
            rows.append(
                {
                    "N": count,
                    "C": convention,
                    **_exponent(result, runs, count, f"flops_{convention}"),
                }
            )
    table = pd.DataFrame(rows)
    shown = table.assign(a_lower=table["lower"], a_upper=table["upper"])
    labels = ("how FLOPs are counted", "exponent a of N* ~ C^a")
    figure = drawn(plot.measured_against, shown, "C", "a", by="N", labels=labels, joined=False)
    return Finding(
        _sentences(table),
        {"Exponents": table},
        [("The exponent under every convention, by the count of N. Bars: 95% intervals.", figure)],
        _warnings(table),
        sources=[find(law).source],
    )


def _different_counts(runs: pd.DataFrame) -> list[str]:
    """Counts that all runs have, but for one that equals another: a dense model is all active."""
    counts = [c for c in COUNTS if c in runs and runs[c].notna().all()]
    return [
        c
        for k, c in enumerate(counts)
        if not any(runs[c].equals(runs[before]) for before in counts[:k])
    ]


def _is_flops(column: str) -> bool:
    return column.startswith("flops_") and column != "flops_convention"


def _fitted(runs: pd.DataFrame) -> pd.DataFrame:
    runs = runs[np.isfinite(runs["loss"])]
    if "role" in runs:
        runs = with_role(runs, "fit")
    if runs.empty:
        raise UserError("no finished run has the role 'fit'")
    return runs


def _exponent(result: Result, runs: pd.DataFrame, count: str, flops: str) -> dict[str, float]:
    """Slope of log N* against log C over the budgets that the runs span, with its interval."""
    shapes = runs.groupby(count)[flops].mean().sort_index()
    low, high = np.log([shapes.index[0] / 4, shapes.index[-1] * 4])
    log_n = np.linspace(low, high, _SIZES)
    line = np.log(shapes.index.to_numpy(float)), np.log(shapes.to_numpy(float))
    a_token = np.exp(_line(*line, log_n))
    cost = runs[flops] * runs["D"]
    low, high = np.quantile(cost, [0.25, 0.75])
    budgets = np.geomspace(low, high, _BUDGETS)
    best, at_end = _slope(result, [result.params], log_n, a_token, budgets)
    draws = records_of(result.draws.head(_DRAWS))
    drawn = _slope(result, draws, log_n, a_token, budgets)[0] if draws else np.empty(0)
    lower, upper = quantiles(drawn, 0.95)
    return {
        "a": float(best[0]),
        "lower": float(lower),
        "upper": float(upper),
        "inside": not bool(at_end[0]),
    }


def _line(x: np.ndarray, y: np.ndarray, at: np.ndarray) -> np.ndarray:
    """Straight lines between the shapes of the ladder, and beyond them as the outer two go."""
    inner = np.interp(at, x, y)
    low, high = np.diff(y[:2]) / np.diff(x[:2]), np.diff(y[-2:]) / np.diff(x[-2:])
    below, above = y[0] + low * (at - x[0]), y[-1] + high * (at - x[-1])
    return np.where(at < x[0], below, np.where(at > x[-1], above, inner))


def _slope(
    result: Result,
    params: list[dict[str, float]],
    log_n: np.ndarray,
    a_token: np.ndarray,
    budgets: np.ndarray,
) -> tuple[np.ndarray, np.ndarray]:
    """Exponents, one for each set of parameters, and whether a best size is an end of the range."""
    matrix = np.array([[p[name] for name in result.law.names] for p in params])
    vertices = []
    for budget in budgets:
        columns = {"N": np.exp(log_n), "D": budget / a_token, "C": np.full(_SIZES, budget)}
        loss = result.law.predict(matrix, {k: columns[k] for k in result.law.columns})
        vertices.append(_vertex(log_n, loss))
    places = np.array(vertices)
    slope = np.polyfit(np.log(budgets), places, 1)[0]
    ends = (places <= log_n[1]) | (places >= log_n[-2])
    return slope, ends.any(axis=0)


def _vertex(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Lowest x of each row of y, between grid points by the parabola through three of them.

    NaN for a row that is not known all along.
    """
    least = np.clip(y.argmin(axis=1), 1, len(x) - 2)
    rows = np.arange(len(y))
    left, middle, right = y[rows, least - 1], y[rows, least], y[rows, least + 1]
    bend = left - 2 * middle + right
    shift = np.where(bend > 0, 0.5 * (left - right) / np.where(bend > 0, bend, 1), 0.0)
    lowest = x[least] + np.clip(shift, -1, 1) * (x[1] - x[0])
    return np.where(np.isfinite(y).all(axis=1), lowest, np.nan)


def _sentences(table: pd.DataFrame) -> list[str]:
    low, high = lowest(table, "a"), highest(table, "a")
    widths = (table["upper"] - table["lower"]).dropna()
    wide = float(widths.median()) if len(widths) else np.nan
    spread = float(high["a"] - low["a"])
    published = (
        ""
        if not wide > 0
        else (f" That is {spread / wide:.1f} times the median width of one interval ({wide:.2f})")
    )
    return [
        f"The same runs give N* ~ C^a with a from {low['a']:.2f} (N = {low['N']}, C = "
        f"{low['C']}) to {high['a']:.2f} (N = {high['N']}, C = {high['C']}), by the convention "
        f"alone.{published}"
    ]


def _warnings(table: pd.DataFrame) -> list[str]:
    outside = int((~table["inside"]).sum())
    if not outside:
        return []
    return [
        f"under {outside} of {len(table)} conventions the best size lies beyond four times the "
        "ladder's: its exponent is not measured"
    ]
