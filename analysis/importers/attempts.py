"""One row per step: rows of superseded attempts are removed, the others joined and sorted.

A run that was resumed from a checkpoint has logged some steps twice; the attempt that continued is
the one that counts. A log can also have one row for training and another for validation at a step:
these are joined.
"""

from __future__ import annotations

import numpy as np
import pandas as pd

from scalinglab.analysis.importers.formats.raw import BadRun, LeftOut
from scalinglab.analysis.importers.units import losses
from scalinglab.analysis.tables.typed import names_of

_LAST = 1e18  # a step beyond those of any run


def one_row_a_step(
    frame: pd.DataFrame, where: str, left: LeftOut
) -> tuple[pd.DataFrame, list[str]]:
    """Curves with one row for each run and step, in order, and what was decided.

    A run that cannot be read goes to `left`, unless it is the only one.

    Attempts are told apart by the columns ``attempt`` or ``time``. Without them two rows must
    contradict each other for there to be several; a new one begins wherever the steps go back. The
    order of the file counts as that of time if each attempt begins where the ones before had come
    to, else the file from its end does, else nothing can be decided.

    Raises
    ------
    UserError
        If a step is missing or two rows contradict each other: names the rows.
    """
    parts, superseded, unsorted = [], 0, 0
    groups = frame.groupby("run", sort=False)
    for run, rows in groups:
        try:
            _check_steps(rows, where)
            ordered = _in_time(rows, str(run), where)
            gone = _superseded(ordered)
            _refuse_two_runs(rows, ordered[~gone], str(run), where)
        except BadRun as error:
            left.why[str(run)] = error
            continue
        superseded += int(gone.sum())
        unsorted += bool((rows["step"].diff() < 0).any() and not gone.any())
        parts.append(ordered[~gone])
    left.unless_all(len(groups))
    rows_kept = pd.concat(parts)
    joined = _join(rows_kept)
    repeated = _contradicting(rows_kept)
    notes = []
    if superseded:
        notes.append(f"{superseded} rows of attempts that a later one superseded were left out")
    if unsorted:
        notes.append(f"the steps of {unsorted} runs were not in order and were sorted")
    if repeated:
        notes.append(f"{repeated} steps were given more than once: the later row counts")
    return joined, notes


def _check_steps(frame: pd.DataFrame, where: str) -> None:
    bad = np.flatnonzero(~np.isfinite(frame["step"]) | (frame["step"] < 0))
    if len(bad):
        row = frame.iloc[bad[0]]
        raise BadRun(f"{where}, row {row['_row']}: step = {row['step']:g} is no step")


def _in_time(rows: pd.DataFrame, run: str, where: str) -> pd.DataFrame:
    """The rows of a run with the number of their attempt in ``_attempt``, the first first."""
    if "attempt" in rows and rows["attempt"].notna().all():
        order = rows["attempt"].to_numpy()
        return rows.assign(_attempt=order).iloc[np.argsort(order, kind="stable")]
    if "time" in rows and rows["time"].notna().all():
        rows = rows.iloc[np.argsort(rows["time"].to_numpy(), kind="stable")]
        return rows.assign(_attempt=_stretch(rows))
    stretch, wrong = _stretch(rows), _contradiction(rows)
    if stretch[-1] == 0 or wrong is None:
        return rows.assign(_attempt=0).sort_values("step", kind="stable")
    for attempt in (stretch, stretch[-1] - stretch):
        if _follows(rows, attempt):
            return rows.assign(_attempt=attempt).iloc[np.argsort(attempt, kind="stable")]
    name, same = wrong
    (a, b), (x, y) = same["_row"], same[name]
    raise BadRun(
        f"{where}, rows {a} and {b}: run {run!r} has {name} = {x:g} and {y:g} at step"
        f" {same['step'].iloc[0]:,.0f}, and nothing says which is later; name a column that does, with"
        " columns.attempt or columns.time (or columns.run, if these are several runs)"
    )


def _stretch(rows: pd.DataFrame) -> np.ndarray:
    """How often the steps have gone back so far, shape (rows,)."""
    return np.cumsum(np.diff(rows["step"], prepend=-np.inf) < 0)


def _follows(rows: pd.DataFrame, attempt: np.ndarray) -> bool:
    """Whether each attempt begins within what those before it had reached."""
    steps = rows["step"].to_numpy()
    ends = pd.DataFrame({"step": steps}).groupby(attempt)["step"].agg(["min", "max"])
    interval = np.median(np.abs(np.diff(np.unique(steps)))) if len(set(steps)) > 1 else 1.0
    reached = ends["max"].cummax().shift().iloc[1:]
    begins = ends["min"].iloc[1:]
    within = (begins <= reached + 1.5 * interval) & (begins >= ends["min"].iloc[0])
    return bool(within.all())


def _contradiction(rows: pd.DataFrame) -> tuple[str, pd.DataFrame] | None:
    """A column and the first two rows that give it different values at one step."""
    for name in _measured(rows):
        measured = rows[rows[name].notna()]
        wrong = measured[measured.groupby("step")[name].transform("nunique") > 1]
        if len(wrong):
            return name, wrong[wrong["step"] == wrong["step"].iloc[0]].iloc[:2]
    return None


def _measured(rows: pd.DataFrame) -> list[str]:
    measured = {*losses(rows), "lr"}
    return [c for c in names_of(rows) if c in measured]


def _refuse_two_runs(rows: pd.DataFrame, joined: pd.DataFrame, run: str, where: str) -> None:
    """Two runs of one name are no two attempts at one: both came to the end, or alternate."""
    ordered = ("attempt" in rows and rows["attempt"].notna().all()) or (
        "time" in rows and rows["time"].notna().all()
    )
    if ordered:
        return
    stretch, step = _stretch(rows), rows["step"].to_numpy()
    first = step[stretch == 0]
    last = step[stretch == stretch[-1]]
    again = (
        stretch[-1] > 0
        and len(first) > 1
        and len(last) > 1
        and ((first.min(), first.max()) == (last.min(), last.max()))
        and _contradiction(rows) is not None
    )
    measured = joined[joined[_measured(joined)].notna().any(axis=1)]
    twice = measured[measured.duplicated("step", keep=False)]
    alternate = _contradicting(twice.assign(run=run)) if len(twice) else 0
    if again or alternate > 0.5 * measured["step"].nunique():
        a, b = (
            rows["_row"][rows["step"] == step.max()].iloc[:2] if again else twice["_row"].iloc[:2]
        )
        raise BadRun(
            f"{where}, rows {a} and {b}: two runs seem to be called {run!r}, as they have most"
            " steps twice with different values; name a column that tells them apart"
            " (columns.run=ID), or what says which is later (columns.attempt, columns.time)"
        )


def _superseded(ordered: pd.DataFrame) -> np.ndarray:
    """Rows at or beyond the step at which a later attempt began."""
    attempt, step = ordered["_attempt"].to_numpy(), ordered["step"].to_numpy()
    begins = pd.Series(step).groupby(attempt).min()
    later = begins[::-1].cummin()[::-1].shift(-1, fill_value=_LAST)  # of all attempts after it
    return step >= later.loc[attempt].to_numpy()


def _join(rows: pd.DataFrame) -> pd.DataFrame:
    """One row per step: of each column what was measured, of several the last."""
    columns = [c for c in rows if c not in ("run", "step", "_attempt")]
    joined = rows.groupby(["run", "step"], sort=False)[columns].last().reset_index()
    order = pd.factorize(joined["run"])[0]
    return joined.iloc[np.lexsort((joined["step"], order))].reset_index(drop=True)


def _contradicting(rows: pd.DataFrame) -> int:
    """Steps with two different values of one column."""
    repeated = rows[rows.duplicated(["run", "step"], keep=False)]
    if repeated.empty:
        return 0
    values = repeated.groupby(["run", "step"])[_measured(rows)].nunique()
    return int((values > 1).any(axis=1).sum())
