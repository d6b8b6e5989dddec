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
    table["status"] = statuses(table, np.isinf(loss.to_numpy(float)))
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


def statuses(table: pd.DataFrame, diverged: np.ndarray) -> list[str]:
    """What became of each run: "done", "diverged", or what the table says."""
    column = table["status"] if "status" in table else pd.Series(None, index=table.index)
    words = [State.DONE if pd.isna(s) or s.lower() in _FINISHED else s.lower() for s in column]
    return [State.DIVERGED if bad else word for bad, word in zip(diverged, words, strict=True)]
