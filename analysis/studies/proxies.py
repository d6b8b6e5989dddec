"""Whether the order of runs by numbers that are known early foretells their order by the loss.

``study.answer: {kind: proxies}``, after ``scaling probe probe=proxies``. Initial networks are
ranked so without training (arXiv 2101.08134); a proxy that only counts parameters agrees as well as
N does, which therefore stands beside them.
"""

from __future__ import annotations

import pandas as pd

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
    table["p corrected"] = _holm(table["p"])
    order = table["tau"].abs().sort_values(ascending=False, na_position="last").index
    table = table.loc[order].reset_index(drop=True)
    return Finding([_sentence(table)], {"Kendall's tau with the loss": table})


def _holm(p: pd.Series) -> pd.Series:
    """Chances that hold for all columns together (Holm 1979)."""
    ordered = p.sort_values()
    factors = pd.Series(range(len(p), 0, -1), index=ordered.index)
    return (ordered * factors).cummax().clip(upper=1).reindex(p.index)


def _sentence(table: pd.DataFrame) -> str:
    size = table[table["column"] == "N"].iloc[0]
    other_columns = table[(table["column"] != "N") & (table["p corrected"] < CHANCE)]
    if other_columns.empty:
        return (
            "no column orders the runs as their losses do beyond chance"
            f" (N alone: tau {size['tau']:.2f})"
        )
    best = other_columns.iloc[0]
    against = "more closely than" if abs(best["tau"]) > abs(size["tau"]) else "no more closely than"
    return (
        f"{best['column']} orders the runs as their losses do, {against} N alone: Kendall's tau"
        f" {best['tau']:.2f} over {best['runs']} runs (p {best['p corrected']:.2g} for all"
        f" {len(table)} columns together), of N {size['tau']:.2f}"
    )
