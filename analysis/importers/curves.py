"""Tables with one row per step: curves, and the end of each run."""

from __future__ import annotations

import numpy as np
import pandas as pd

from scalinglab.analysis.importers.attempts import one_row_a_step
from scalinglab.analysis.importers.branches import with_history
from scalinglab.analysis.importers.columns import CONFIGURED_LR
from scalinglab.analysis.importers.formats.raw import LeftOut
from scalinglab.analysis.importers.run_rows import with_statuses
from scalinglab.analysis.importers.typed import Typed, joined
from scalinglab.analysis.importers.units import losses, with_tokens, zero_based_runs
from scalinglab.scaling.errors import UserError
from scalinglab.scaling.records.state import State

_LATE = 0.02  # of a run: a last validation this much before its end is its final loss
_CURVE = (
    "run",
    "step",
    "tokens",
    "lr",
    "train_loss",
    "grad_norm",
    "loss",
    "bpb",
    "bytes_per_token",
)


def of_curves(
    read: Typed, about: pd.DataFrame | None, zero_based: bool | None
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Curves, and the end of each run.

    Raises
    ------
    UserError
        If no column is the step, or a row names no run.
    """
    tables, left = [], LeftOut()
    for raw, part in read.parts:
        if "step" not in part:
            raise UserError(f"{raw.name}: no column is the step; say columns.step=NAME")
        part = part if "run" in part else part.assign(run=raw.name)
        if part["run"].isna().any():
            row = part["_row"][part["run"].isna()].iloc[0]
            raise UserError(f"{raw.name}, row {row}: the run has no name")
        part, notes = one_row_a_step(part, raw.name, left)
        read.notes.extend(notes)
        tables.append(part)
    curves = pd.concat(tables, ignore_index=True)
    if len(tables) > 1 and curves.duplicated(["run", "step"]).any():
        curves, _ = one_row_a_step(
            curves.sort_values(["run", "step"], kind="stable"), "the files", left
        )
    if about is not None:
        curves = joined(curves, about)
    first = (
        zero_based_runs(curves)
        if zero_based is None
        else (dict.fromkeys(curves["run"].unique(), bool(zero_based)))
    )
    curves, notes = with_tokens(curves, first, left)
    read.notes.extend(notes)
    runs = ends(curves, first)
    curves, notes = with_history(curves, left)
    read.notes.extend([*notes, *left.notes()])
    runs = runs[~runs["run"].isin(left.runs)].reset_index(drop=True)
    curves = curves.assign(thinned=True)
    losing = losses(curves)
    curves[losing] = curves[losing].where(np.isfinite(curves[losing]))
    constant = [c for c in curves if c not in _CURVE and c not in losing]
    return runs, curves.drop(columns=[c for c in constant if c not in ("thinned", "parent")])


def ends(curves: pd.DataFrame, zero_based: dict[str, bool]) -> pd.DataFrame:
    """A row for each run: its final loss, the tokens it had seen, and what is constant in it."""
    losing = losses(curves)
    table = _constants(curves.drop(columns=[*losing, "_row", "step", "tokens"], errors="ignore"))
    runs = curves.groupby("run", sort=False)
    if "lr" in curves:
        table["lr"] = runs["lr"].max().to_numpy()
    if CONFIGURED_LR in table:
        table["lr"] = (
            table["lr"].fillna(table[CONFIGURED_LR]) if "lr" in table else (table[CONFIGURED_LR])
        )
        table = table.drop(columns=CONFIGURED_LR)
    last = runs["step"].max()
    planned = table["steps"].to_numpy(float) if "steps" in table else np.full(len(table), np.nan)
    steps_done = last.to_numpy() + np.array([zero_based.get(run, False) for run in last.index], int)
    table["steps"] = steps_done.astype(int)
    if "C" in curves and "C" not in table:  # as spent so far
        table["C"] = runs["C"].last().to_numpy()
    if "tokens" in curves:
        table["D"] = runs["tokens"].last().to_numpy()
    diverged = np.zeros(len(table), bool)
    for name in losing:
        diverged |= np.isinf(curves[name]).groupby(curves["run"], sort=False).any().to_numpy()
    for name in losing:
        finite = curves[np.isfinite(curves[name])].groupby("run", sort=False)
        at = finite["step"].last().reindex(last.index)
        is_at_end = ((last - at) <= _LATE * last).to_numpy() & ~diverged
        table[name] = finite[name].last().reindex(last.index).where(is_at_end).to_numpy()
    table = with_statuses(table, diverged)
    words = table["status"].to_numpy(object)
    early = (steps_done < (1 - _LATE) * planned) & ~diverged
    table["status"] = np.where(early & (words == State.DONE), "unfinished", words)
    return table


def _constants(curves: pd.DataFrame) -> pd.DataFrame:
    """What has one value in each run, missing where it has several."""
    runs = curves.groupby("run", sort=False)
    columns = [c for c in curves if c != "run"]
    kinds = {c: pd.api.types.is_numeric_dtype(k) for c, k in curves.dtypes.items()}
    numeric = [c for c in columns if kinds[c]]
    words = [c for c in columns if not kinds[c]]
    low, high = runs[numeric].min(), runs[numeric].max()
    parts = [low.where(low == high)]
    if words:
        parts.append(runs[words].first().where(runs[words].nunique() == 1))
    table = pd.concat(parts, axis=1)[columns].dropna(axis=1, how="all")
    return table.rename_axis("run").reset_index()
