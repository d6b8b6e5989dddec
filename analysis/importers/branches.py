"""Complete histories of the learning rate: from the first step on, for branches with the parent's.

Logs are sparse and begin at their first logged step; a cooldown from another run's checkpoint holds
only its own steps. Laws of curves need the whole history. Between logged steps the learning rate is
interpolated linearly.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from scalinglab.analysis.importers.formats.raw import BadRun, LeftOut
from scalinglab.analysis.laws.schedule_areas import without_final_zero

_WAIT = 3.0  # logging intervals: a first step later than these is no sparse log


def with_history(curves: pd.DataFrame, left: LeftOut) -> tuple[pd.DataFrame, list[str]]:
    """Curves whose runs all begin at step 0 or 1, with a learning rate in each row.

    Runs without any learning rate are left as they are. A ``parent`` (the name of another run) and,
    if the branch counts its steps anew, a ``branch_step`` may stand in the rows. A run whose
    history cannot be told goes to `left`, unless it is the only one.

    Raises
    ------
    UserError
        If a run begins late and names no parent, the parent is not there or does not reach the
        branch, or parents go round in a circle.
    """
    if "lr" not in curves or not curves["lr"].notna().any():
        return curves, []
    rows_of_run = {str(run): rows for run, rows in curves.groupby("run", sort=False)}
    complete: dict[str, pd.DataFrame] = {}
    notes: dict[str, list[str]] = {}
    for run in rows_of_run:
        try:
            _complete(run, rows_of_run, complete, notes, ())
        except BadRun as error:
            left.why[run] = error
    left.unless_all(len(rows_of_run))
    sentences = [f"{text}: {_few(runs)}" for text, runs in notes.items()]
    return pd.concat(complete.values(), ignore_index=True), sentences


def root_of(run: str, parents: dict[str, str]) -> str:
    """The trunk from which a run descends, itself if none."""
    passed = set()
    while run in parents and run not in passed:
        passed.add(run)
        run = parents[run]
    return run


def _complete(
    run: str,
    rows_of_run: dict[str, pd.DataFrame],
    complete: dict[str, pd.DataFrame],
    notes: dict[str, list[str]],
    path: tuple[str, ...],
) -> pd.DataFrame:
    if run in complete:
        return complete[run]
    if run in path:
        raise BadRun(f"parent: {' -> '.join([*path, run])} go round in a circle")
    rows = rows_of_run[run]
    parent = _the(rows, "parent")
    if not rows["lr"].notna().any():
        complete[run] = rows
        return rows
    if parent is None:
        before = _beginning(run, rows, notes)
        if len(before) and rows["step"].iloc[0] == 0:  # a validation before training
            rows = rows.assign(lr=rows["lr"].where(rows["step"] > 0, before["lr"].iloc[0]))
            before = before.iloc[:0]
    else:
        if str(parent) not in rows_of_run:
            raise BadRun(f"run {run!r}: its parent {parent!r} is not among the runs")
        trunk = _complete(str(parent), rows_of_run, complete, notes, (*path, run))
        rows = _shifted(rows, run, notes)
        before = _inherited(run, rows, str(parent), trunk)
        text = "learning rates before a branch were taken from its parent"
        notes.setdefault(text, []).append(run)
    history = pd.concat([before, rows], ignore_index=True)
    history = _without_final_zero(run, history, notes)
    has_lr = history["lr"].notna()
    lr = np.interp(history["step"], history["step"][has_lr], history["lr"][has_lr])
    complete[run] = history.assign(lr=lr, run=run)
    return complete[run]


def _without_final_zero(
    run: str, history: pd.DataFrame, notes: dict[str, list[str]]
) -> pd.DataFrame:
    """A curve without the zero that a scheduler writes after training, which is no cooldown."""
    logged = history[history["lr"].notna()]
    rates = logged["lr"].to_numpy(float)
    mended = without_final_zero(logged["step"].to_numpy(float), rates)
    if mended is rates:
        return history
    text = "a learning rate of 0 at the last logged step was taken for the one before it"
    notes.setdefault(text, []).append(run)
    return history.assign(lr=history["lr"].where(history.index != logged.index[-1], mended[-1]))


def _the(rows: pd.DataFrame, column: str) -> Any:
    """The one value of a column; None where there is none."""
    if column not in rows:
        return None
    values = rows[column].dropna().unique()
    if len(values) > 1:
        run = rows["run"].iloc[0]
        raise BadRun(f"run {run!r} has several values of {column}: {values[:3]}")
    return values[0] if len(values) else None


def _shifted(rows: pd.DataFrame, run: str, notes: dict[str, list[str]]) -> pd.DataFrame:
    """A branch that counts its steps from 0, in the steps of its parent."""
    at = _the(rows, "branch_step")
    if at is None or rows["step"].min() >= at:
        return rows
    text = "steps of a branch that counts from its beginning were shifted by its branch_step"
    notes.setdefault(text, []).append(run)
    return rows.assign(step=rows["step"] + at)


def _inherited(run: str, rows: pd.DataFrame, parent: str, trunk: pd.DataFrame) -> pd.DataFrame:
    first, reach = rows["step"].min(), trunk["step"].max()
    if reach < first - _WAIT * _interval(rows):
        raise BadRun(
            f"run {run!r} begins at step {first:,.0f}, but its parent {parent!r} ends at {reach:,.0f}"
        )
    before = trunk[trunk["step"] < first]
    return before[["run", "step", "lr"]]


def _beginning(run: str, rows: pd.DataFrame, notes: dict[str, list[str]]) -> pd.DataFrame:
    """A row at step 0 where the log begins later: on the line through its first two rates."""
    measured = rows[rows["lr"].notna()]
    first, lr = measured["step"].iloc[0], measured["lr"].to_numpy()
    if first <= 1 and rows["step"].iloc[0] <= 1:
        return rows.iloc[:0]
    if first > _WAIT * _interval(measured) + 1:
        raise BadRun(
            f"run {run!r} begins at step {first:,.0f}: name the run that it branched from"
            " (columns.parent), or give the learning rate of the steps before"
        )
    start = lr[0]
    if len(lr) > 1 and lr[1] > lr[0]:  # warming up
        step = measured["step"].to_numpy()
        start = max(lr[0] - (lr[1] - lr[0]) / (step[1] - step[0]) * first, 0.0)
    text = "learning rates before the first logged step were extended from the first two"
    notes.setdefault(text, []).append(run)
    return pd.DataFrame({"run": [run], "step": [0.0], "lr": [start]})


def _interval(rows: pd.DataFrame) -> float:
    gaps = np.diff(rows["step"])
    return float(np.median(gaps)) if len(gaps) else 1.0


def _few(runs: list[str]) -> str:
    return ", ".join(runs[:4]) + (f" and {len(runs) - 4} more" if len(runs) > 4 else "")
