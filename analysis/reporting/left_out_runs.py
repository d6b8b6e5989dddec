"""Runs of a study that its report leaves out: by a rule, or because something is missing."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from scalinglab.analysis.fitting.far_residuals import outlying
from scalinglab.analysis.tables.exclusion import exclude_rows
from scalinglab.analysis.tables.study_runs import with_role
from scalinglab.scaling.records.state import State

if TYPE_CHECKING:
    from scalinglab.analysis.fitting.result import Result

LEFT_OUT = "left_out"  # the role of a run to fit that a rule leaves out
_FITTED = ("fit", "curve")  # roles of runs to which a law, or one of curves, is fitted
_NEEDED = ("N", "D", "loss")


def leave_out(runs: pd.DataFrame, rules: Sequence[str]) -> tuple[pd.DataFrame, dict[str, int]]:
    """The runs with the role `LEFT_OUT` in place of those of fits where a rule leaves them out.

    Held-out runs stay: they are what the report is tested on.

    Parameters
    ----------
    runs : DataFrame
        From ``analysis.load``, all roles.
    rules : list of str
        As ``exclude=`` of `analysis.fit`; they choose among the runs with the role "fit".

    Returns
    -------
    DataFrame
    dict of str to int
        Rule -> how many runs it left out.

    Raises
    ------
    UserError
        If a rule is none, or leaves no run.
    """
    if not rules:
        return runs, {}
    to_fit = with_role(runs, "fit")
    needed = [name for name in _NEEDED if name in runs]
    is_out, counts = exclude_rows(to_fit, rules, response="loss", needed=needed, length="D")
    is_out &= (to_fit["status"] == State.DONE).to_numpy()  # diverged runs are told as such
    places = np.flatnonzero(np.isin(runs.index, to_fit.index[is_out]))
    roles = runs["role"].astype(object).to_numpy(copy=True)
    for place in places:
        words = roles[place].split(",")
        kept = [word for word in words if word not in _FITTED]
        roles[place] = ",".join([LEFT_OUT, *kept])
    return runs.assign(role=roles), {rule: n for rule, n in counts.items() if rule in rules}


def far_from_law(law: Result, fitted: pd.DataFrame) -> pd.Index:
    """Which finished runs lie far from the law that was fitted to them, by their index."""
    fitted = fitted[(fitted["status"] == State.DONE) & np.isfinite(fitted["loss"].astype(float))]
    if law.law.curve or fitted.empty:
        return fitted.index[:0]
    predicted = np.asarray(law.predict(fitted)[law.law.response], float)
    away = law.scale.of(fitted["loss"].to_numpy(float)) - law.scale.of(predicted)
    is_known = np.isfinite(away)
    return fitted.index[is_known][outlying(away[is_known], len(law.free)) > 0]


def roles_in_words(runs: pd.DataFrame) -> pd.Series:
    """The role of each run as a page shows it; of a run without one, what it lacks."""
    missing = runs[[name for name in _NEEDED if name in runs]].isna()
    words = []
    for role, lost in zip(runs["role"].fillna(""), missing.to_dict("records"), strict=True):
        gone = ", ".join(f"no {name}" for name, is_gone in lost.items() if is_gone)
        text = role.replace(LEFT_OUT, "left out: exclude")
        words.append(f"left out: {gone}" if gone and not role else text)
    return pd.Series(words, index=runs.index)
