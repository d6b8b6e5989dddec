"""Whether proxies that are known before training rank runs as their losses do.

``study.answer: {kind: proxies}``, after ``scaling probe probe=proxies``. Such proxies rank
untrained networks (arXiv 2101.08134). N is shown beside them, as a proxy that only counts
parameters agrees with the loss as well as N does.
"""

from __future__ import annotations

import numpy as np
import pandas as pd

from scalinglab.analysis import plot
from scalinglab.analysis.intervals.together import chances_together
from scalinglab.analysis.reporting.drawn import drawn
from scalinglab.analysis.reporting.verdict import VERDICTS, Finding
from scalinglab.scaling.errors import UserError
from scalinglab.scaling.records.state import State

PREFIX = "probe.proxies."
LEAST_RUNS = 4
CHANCE = 0.05


@VERDICTS.register("proxies")
def proxies(runs: pd.DataFrame, *, columns: list[str] | None = None) -> Finding:
    """Kendall's tau of columns with the loss, and whether it is more than chance.

    Parameters
    ----------
    runs : DataFrame
    columns : list of str, optional
        Default: all of the probe ``proxies``.

    Raises
    ------
    UserError
        If there is no such column, or too few runs have it.
    """
    from scipy.stats import kendalltau  # only here: it takes a while to import

    names = columns or [str(c) for c in runs if str(c).startswith(PREFIX)]
    if not names:
        raise UserError(
            f"no run has a column {PREFIX}*: scaling probe study=NAME probe=proxies finds them"
        )
    missing = [c for c in names if c not in runs]
    if missing:
        raise UserError(f"study.answer.options.columns: no run has the column {missing[0]!r}")
    ended = runs[(runs["status"] == State.DONE) & runs["loss"].notna()]
    rows = []
    for name in dict.fromkeys(["N", *names]):
        both = ended[[name, "loss"]].dropna().drop_duplicates()
        if len(both) < LEAST_RUNS:
            raise UserError(
                f"{name}: {len(both)} finished runs have it; an order is judged from {LEAST_RUNS}"
            )
        correlation = kendalltau(both[name], both["loss"])
        rows.append(
            {
                "column": name,
                "runs": len(both),
                "tau": correlation.statistic,
                "p": correlation.pvalue,
            }
        )
    table = pd.DataFrame(rows)
    table["p"] = table["p"].where(table["tau"].notna(), 1.0)  # a column of one value has no order
    table["p corrected"] = chances_together(table["p"].to_numpy(float))
    order = table["tau"].abs().sort_values(ascending=False, na_position="last").index
    table = table.loc[order].reset_index(drop=True)
    others = [name for name in table["column"] if name != "N"]
    text = f"Loss of every run against {others[0]}, whose order is nearest to that of the losses."
    figure = drawn(plot.measured_against, ended, others[0], joined=False)
    return Finding(
        [_sentence(table, ended)], {"Kendall's tau with the loss": table}, [(text, figure)]
    )


def _chance_of_lead(runs: pd.DataFrame, name: str, columns: int) -> float:
    """Chance of a lead over N of the best of so many columns, if it orders runs no more closely.

    By the jackknife of the difference between both sizes of tau over the same runs: each run is
    left out in turn, with Student's distribution (Arvesen 1969, for U statistics).
    """
    # scipy.stats takes 0.4 s to import: other verdicts do not wait for it.
    from scipy.special import stdtr
    from scipy.stats import kendalltau

    both = runs[["N", name, "loss"]].dropna().drop_duplicates().to_numpy(float)

    def lead(rows: np.ndarray) -> float:
        size, other = (kendalltau(rows[:, i], rows[:, 2]).statistic for i in (0, 1))
        return abs(other) - np.nan_to_num(abs(size))

    count = len(both)
    whole = lead(both)
    each = np.array([lead(np.delete(both, i, axis=0)) for i in range(count)])
    error = np.sqrt((count - 1) * np.mean((each - each.mean()) ** 2))
    if not np.isfinite(error):
        return 1.0
    t = whole / error if error > 0 else np.inf * np.sign(whole)
    return min(1.0, columns * float(stdtr(count - 1, -t)))


def _sentence(table: pd.DataFrame, runs: pd.DataFrame) -> str:
    size = table[table["column"] == "N"].iloc[0]
    other_columns = table[(table["column"] != "N") & (table["p corrected"] < CHANCE)]
    if other_columns.empty:
        return (
            "no column orders the runs as their losses do beyond chance"
            f" (N alone: tau {size['tau']:.2f})"
        )
    best = other_columns.iloc[0]
    columns = len(table) - 1
    if not abs(best["tau"]) > abs(np.nan_to_num(size["tau"])):
        against = ", no more closely than N alone"
    elif (chance := _chance_of_lead(runs, best["column"], columns)) < CHANCE:
        against = f", more closely than N alone (p {chance:.2g}, jackknife over runs)"
    else:
        against = f"; that it does so more closely than N alone may be chance (p {chance:.2g})"
    return (
        f"{best['column']} orders the runs as their losses do{against}: Kendall's tau"
        f" {best['tau']:.2f} over {best['runs']} runs (p {best['p corrected']:.2g} for all"
        f" {len(table)} columns together), of N {size['tau']:.2f}"
    )
