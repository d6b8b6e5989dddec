"""What a reader must know before believing an answer, beyond what its parts warn of."""

from __future__ import annotations

from itertools import combinations
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from scalinglab.analysis.tables.exclusion import exclude_word
from scalinglab.analysis.tables.interval_text import value_text
from scalinglab.analysis.tables.powers import short
from scalinglab.analysis.tables.typed import records_of

if TYPE_CHECKING:
    from scalinglab.analysis.decisions.approaches import Approaches
    from scalinglab.analysis.fitting.result import Result

# Approaches to the best size, by their names in tables.
_APPROACHES = {
    "envelope": "the envelope of final losses",
    "IsoFLOP": "the minima of IsoFLOP curves",
    "surface": "the fitted law (surface)",
}
_LEAST = 3  # runs at an end, whose errors of one sign say that the law bends
_SHARE = 0.05  # of the runs, that are looked at at an end
_FAR = 2.0  # robust standard deviations of the other runs, from which all these lie away


def others_apart(approaches: Approaches | None, cost: float) -> str:
    """The best sizes at a budget by approaches whose interval misses the surface's; or empty."""
    if approaches is None or "N_lower" not in approaches.table:
        return ""
    at = approaches.table[np.isclose(approaches.table["C"], cost)]
    rows = {str(row["approach"]).partition(" ")[2]: row for row in records_of(at)}
    law = rows.pop("surface", None)
    if law is None:
        return ""
    return " or ".join(
        f"{short(row['N'])} by {_APPROACHES.get(name, name)}"
        for name, row in rows.items()
        if row["N_upper"] < law["N_lower"] or law["N_upper"] < row["N_lower"]
    )


def disagreement(approaches: Approaches | None) -> str:
    """At which budgets two approaches give best sizes whose intervals do not overlap; else empty.

    If they disagree, the design or the law is wrong, which no interval of one approach shows.
    """
    if approaches is None or "N_lower" not in approaches.table:
        return ""
    parts = []
    for cost, rows in approaches.table.groupby("C"):
        named = [(row["approach"].partition(" ")[2], row) for row in records_of(rows)]
        apart = [
            (a, b)
            for a, b in combinations(named, 2)
            if a[1]["N_upper"] < b[1]["N_lower"] or b[1]["N_upper"] < a[1]["N_lower"]
        ]
        if apart:
            listed = dict(pair for both in apart for pair in both)
            sizes = [
                f"{value_text(row, 'N', short)} by {_APPROACHES.get(name, name)}"
                for name, row in listed.items()
            ]
            parts.append(f"at C = {cost:.3g} N* is {' or '.join(sizes)}")
    if not parts:
        return ""
    return (
        f"The approaches disagree beyond their intervals: {'; '.join(parts)}. The law or the design"
        " misleads one of them: train a run at each of these sizes before a large budget."
    )


def bend(law: Result, runs: pd.DataFrame, command: str, *before: str) -> str:
    """Whether a law misses all runs of least compute on one side and beyond the others' scatter.

    Parameters
    ----------
    law : Result
    runs : DataFrame
        The fitted runs, with ``C`` and the columns that were fitted.
    command : str
        Of the report: ``scaling report study=mine``.
    *before : str
        Conditions of ``exclude=`` that it had already.
    """
    if not {"C", "loss"} <= set(runs):
        return ""
    runs = runs[np.isfinite(runs["loss"]) & np.isfinite(runs["C"])].sort_values("C", kind="stable")
    predicted = np.asarray(law.predict(runs)[law.law.response], float)
    error = predicted / runs["loss"].to_numpy(float) - 1
    cost = runs["C"].to_numpy(float)
    if len(error) < 4 * _LEAST:
        return ""
    count = max(_LEAST, int(_SHARE * len(error)))
    is_low = cost <= 1.01 * cost[count - 1]
    if is_low.mean() > 0.5:
        return ""
    ends, others = error[is_low], error[~is_low]
    spread = np.median(np.abs(others)) / 0.6745  # a normal's median size, in its deviations
    if not ((ends > _FAR * spread).all() or (ends < -_FAR * spread).all()):
        return ""
    side = "high" if ends[0] > 0 else "low"
    near_end, far_end = sorted(np.abs(ends))[:: len(ends) - 1]
    bound = float(f"{np.sqrt(cost[is_low].max() * cost[~is_low].min()):.2g}")
    return (
        f"At the {len(ends)} runs of least compute (C <= {cost[is_low].max():.3g}) the law predicts"
        f" losses {near_end:.1%} to {far_end:.1%} too {side}; half of the others are within"
        f" {np.median(np.abs(others)):.1%} of it. To see how the answer changes without those"
        f" {len(ends)}: {command} {exclude_word(*before, f'C < {bound:.3g}')}"
    )
