"""Tables with one row per run."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd

from scalinglab.analysis.importers.columns import CONFIGURED_LR
from scalinglab.analysis.importers.formats.raw import Raw
from scalinglab.analysis.importers.typed import joined
from scalinglab.analysis.importers.units import losses
from scalinglab.scaling.errors import UserError
from scalinglab.scaling.records.state import State

_FINISHED = (State.DONE, "finished", "completed", "complete", "success")
_NAMED = 4  # runs that a sentence names
NOT_FINITE = "_not_finite"  # column: nothing but a loss that is no number says that a run diverged
_CURVE_ROWS = 8  # so many rows with ever more tokens and nothing else are one run


def of_runs(
    parts: list[tuple[Raw, pd.DataFrame]],
    about: pd.DataFrame | None,
    renamed: Mapping[str, str | float],
) -> pd.DataFrame:
    """One row per run as it is.

    Raises
    ------
    UserError
        If a run stands there twice.
    """
    for raw, part in parts:
        _refuse_one_curve(raw, part, renamed)
    table = pd.concat(
        [_with_names(raw, part, len(parts) > 1) for raw, part in parts], ignore_index=True
    )
    twice = table[table["run"].duplicated(keep=False)]
    if len(twice):
        a, b = twice[twice["run"] == twice["run"].iloc[0]]["_row"].iloc[:2]
        raise UserError(
            f"{parts[0][0].name}, rows {a} and {b}: run {twice['run'].iloc[0]!r}"
            " stands there twice; curves need a column of steps (columns.step, or"
            " columns.step=tokens), runs of one name another column (columns.run)"
        )
    if about is not None:
        table = joined(table, about)
    if "D" not in table:
        if "tokens" in table:
            table["D"] = table["tokens"]
        elif {"steps", "batch", "context"} <= set(table):
            table["D"] = table["steps"] * table["batch"] * table["context"]
    if CONFIGURED_LR in table:
        table["lr"] = table[CONFIGURED_LR]
    loss = table["loss"] if "loss" in table else pd.Series(1.0, index=table.index)
    table = with_statuses(table, np.isinf(loss.to_numpy(float)))
    for name in losses(table):
        table[name] = table[name].where(np.isfinite(table[name]))
    if "loss" in table:
        table["loss"] = table["loss"].where(table["status"] != State.DIVERGED)
    return table.drop(columns=["tokens", CONFIGURED_LR], errors="ignore")


def _with_names(raw: Raw, part: pd.DataFrame, several: bool) -> pd.DataFrame:
    """Rows with the names of their runs: of a column, else of their place in the file."""
    unnamed = "run" not in part or part["run"].isna().any()
    if not unnamed:
        return part
    place = f"{raw.name} " if several else ""
    numbered = pd.Series([f"{place}row {row}" for row in part["_row"]], index=part.index)
    if several and len(part) == 1:
        numbered[:] = raw.name
    return part.assign(run=part["run"].fillna(numbered) if "run" in part else numbered)


def _refuse_one_curve(raw: Raw, part: pd.DataFrame, renamed: Mapping[str, str | float]) -> None:
    """Rows that are one training seen again and again are no runs of their own."""
    tokens = next((c for c in ("tokens", "D") if c in part), None)
    if len(part) < _CURVE_ROWS or "run" in part or tokens is None or {tokens, "D"} & set(renamed):
        return
    varies = [
        c
        for c in ("N", "n_block", "n_total", "width", "seed", "lr")
        if c in part and part[c].nunique() > 1
    ]
    gaps = np.diff(part[tokens].to_numpy(float))
    if not varies and (gaps > 0).all() and np.ptp(gaps) <= 0.01 * gaps.mean():
        raise UserError(
            f"{raw.name}: its {len(part)} rows have ever more {tokens}, in equal steps, and nothing"
            f" else differs: that is one run; say columns.step={tokens} (one curve), or"
            f" columns.D={tokens} if each row is a run"
        )


def with_statuses(table: pd.DataFrame, diverged: np.ndarray) -> pd.DataFrame:
    """What became of each run: "done", "diverged", or what the table says; and `NOT_FINITE`.

    `diverged` is an array of bool: the runs with a loss that is no finite number.
    """
    column = table["status"] if "status" in table else pd.Series(None, index=table.index)
    words = [State.DONE if pd.isna(s) or s.lower() in _FINISHED else s.lower() for s in column]
    is_stated = np.array([word == State.DIVERGED for word in words], bool)
    status = [State.DIVERGED if bad else word for bad, word in zip(diverged, words, strict=True)]
    return table.assign(**{"status": status, NOT_FINITE: diverged & ~is_stated})


def without_not_finite(table: pd.DataFrame) -> tuple[pd.DataFrame, list[str]]:
    """The table without `NOT_FINITE`, and a sentence on the runs that only this calls diverged."""
    if NOT_FINITE not in table:
        return table, []
    names = table["run"][table[NOT_FINITE].fillna(False).astype(bool)].map(repr).tolist()
    table = table.drop(columns=NOT_FINITE)
    if not names:
        return table, []
    more = f" and {len(names) - _NAMED} more" if len(names) > _NAMED else ""
    runs = f"run{'s' * (len(names) > 1)} {', '.join(names[:_NAMED])}{more}"
    return table, [
        f"the loss of {runs} is nan or inf in the file: taken as diverged and not fitted; leave the"
        " cell empty if it was not measured"
    ]
