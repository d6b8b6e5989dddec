"""A file as the table that a law is fitted to: points, the ends of runs, or whole curves."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from scalinglab.analysis.importers.assemble import assemble, with_resolution
from scalinglab.analysis.importers.cells import numbers
from scalinglab.analysis.importers.columns import Column, no_loss
from scalinglab.analysis.importers.curves import of_curves
from scalinglab.analysis.importers.formats.raw import Raw, named_apart
from scalinglab.analysis.importers.read import read_raws
from scalinglab.analysis.importers.role_names import matching
from scalinglab.analysis.importers.roles import ROLES
from scalinglab.analysis.importers.run_rows import of_runs, without_not_finite
from scalinglab.analysis.importers.typed import Typed, typed
from scalinglab.analysis.importers.units import check_plausible, in_nats
from scalinglab.analysis.laws.law import Law
from scalinglab.analysis.laws.registry import read_as
from scalinglab.analysis.tables.bounds import with_bounds
from scalinglab.analysis.tables.factors import read_formula
from scalinglab.analysis.tables.typed import names_of
from scalinglab.scaling.errors import UserError
from scalinglab.scaling.records.state import CENSORED, State

# Roles that say what a row is; the rest is looked for where a law reads it.
_OF_ROWS = (
    "run",
    "step",
    "status",
    "seed",
    "schedule",
    "parent",
    "branch_step",
    "attempt",
    "time",
    "steps",
)


def read_table(
    source: str | Path | Sequence[str | Path],
    law: str | Law,
    *,
    columns: Mapping[str, str | float] | None = None,
    x: str | None = None,
    unit: str | None = None,
) -> pd.DataFrame:
    """Read a file for a law, by the same rules as `analysis.read_runs`.

    Where there is one row per step, a law of curves gets the curves and another the ends of the
    runs; a law that is asked for in steps or tokens gets the rows as they are.

    Parameters
    ----------
    source : path or list of paths
        As in `analysis.read_runs`.
    law : str or Law
    columns : mapping, optional
        Column of the law -> column of the file, or what is made of columns.
    x : str, optional
        The column that a law in one variable reads.
    unit : {"nats", "bits", "bits_per_byte", "perplexity"}, optional
        Of the losses.

    Returns
    -------
    DataFrame
        The file's columns under their own names and, where they differ, under the law's; indexed by
        the rows of the file. Runs that did not finish, and rows without what the law reads, are
        left out: ``attrs["left_out"]`` counts them, ``attrs["notes"]`` says what was decided.

    Raises
    ------
    UserError
        As `analysis.read_runs`; or if the law is of curves and the file has none.
    """
    law, renamed = read_as(law), dict(columns or {})
    sources = [source] if isinstance(source, str | Path) else list(source)
    raws = named_apart(read_raws(sources))
    canonical = {k: v for k, v in renamed.items() if k in ROLES or k.startswith("loss_")}
    if law.curve:
        return _curves(law, raws, canonical, unit)
    needed = [*law.inputs, law.response]
    steps = _asked_by_step(raws, [*renamed.values(), x, *needed])
    roles = {
        *_OF_ROWS,
        *needed,
        *(("tokens", "batch", "context") if "D" in needed else ()),
        *((x,) if x in ROLES else ()),
    }
    read = typed(raws, canonical, None, tuple(roles), as_rows=steps)
    if steps:
        table = pd.concat([part for _, part in read.parts], ignore_index=True)
    elif any("step" in part for _, part in read.parts):
        table, _ = of_curves(read, None, None)
    else:
        table = of_runs(read.parts, None, canonical)
    table, sentences = in_nats(table, unit, read.sources)
    if law.response == "loss":
        if "loss" not in table:
            raise UserError(no_loss(raws))
        check_plausible(table, unit)
        table, more = with_resolution(table, table)
        sentences = [*sentences, *more]
    table, more = without_not_finite(table)
    sentences = [*sentences, *more]
    table = _with_their_names(table, read)
    table = _with_numbers(table, [renamed.get(n, n) for n in needed], raws[0])
    return _finished(table, [renamed.get(n, n) for n in needed], [*read.notes, *sentences])


def _asked_by_step(raws: Sequence[Raw], names_asked: Sequence[object]) -> bool:
    """Whether a step, or tokens along a run, are what a law is to be read in."""
    names = sorted({str(c) for raw in raws for c in raw.frame.columns})
    steps = matching("step", names)
    axes = {"step", "tokens", *steps, *matching("tokens", names)}
    return bool(steps) and any(isinstance(a, str) and a in axes for a in names_asked)


def _curves(
    law: Law, raws: Sequence[Raw], renamed: Mapping[str, str | float], unit: str | None
) -> pd.DataFrame:
    imported = assemble(raws, columns=renamed, unit=unit)
    if imported.curves.empty or "lr" not in imported.curves:
        lacks = "one row a step" if imported.curves.empty else "a learning rate at each step"
        raise UserError(
            f"{raws[0].name}: {law.name} is a law of curves and needs {lacks}; say"
            f" columns.{'step' if imported.curves.empty else 'lr'}=NAME"
        )
    table = imported.curves.drop(columns="cluster", errors="ignore")
    table.attrs["notes"] = list(imported.decided)
    return table


def _with_their_names(table: pd.DataFrame, read: Typed) -> pd.DataFrame:
    """The table with each of our columns under the file's own name too."""
    source_columns: dict[str, pd.Series] = {}
    for columns in read.chosen:
        for name, column in columns.items():
            if name in table and _own(column) and column.source not in table:
                source_columns[column.source] = table[name]
            elif name in table and not column.formula.plain:
                source_columns |= _undone(table[name], column, set(names_of(table)))
    return table.assign(**source_columns)


def _own(column: Column) -> bool:
    return column.formula.plain and not column.fact


def _undone(values: pd.Series, column: Column, have: set[str]) -> dict[str, pd.Series]:
    """The column that a multiple or logarithm was made of."""
    if len(column.formula.terms) > 1 or column.formula.columns[0] in have:
        return {}
    (source, factor), inverse = column.formula.terms[0], {"log": np.exp, "exp": np.log, "": None}
    undo = inverse[column.formula.function]
    return {source: (values if undo is None else undo(values)) / factor}


def _with_numbers(table: pd.DataFrame, needed: Sequence[str | float], raw: Raw) -> pd.DataFrame:
    """What the law reads as numbers, also where its columns are none of ours."""
    numbers_of = {}
    for source in needed:
        formula = read_formula(source, table.columns) if isinstance(source, str) else None
        for name in formula.columns if formula else ():
            if name == "run" or pd.api.types.is_numeric_dtype(table[name]):
                continue
            values, _, bad = numbers(table[name], counts=True, decimal=raw.decimal)
            if bad is not None:
                raise UserError(
                    f"{raw.name}, row {table['_row'].iloc[bad]}: {name} ="
                    f" {str(table[name].iloc[bad])[:60]!r} is no number"
                    if "_row" in table
                    else f"{raw.name}: {name} has a cell that is no number"
                )
            numbers_of[name] = values
    return table.assign(**numbers_of)


def _finished(
    table: pd.DataFrame, needed: Sequence[str | float], notes: Sequence[str]
) -> pd.DataFrame:
    """Rows of runs that finished and have what the law reads; the rest is counted."""
    if "_row" in table:
        table = table.set_index(table.pop("_row").rename(None))
    left: dict[str, int] = {}
    formulas = [read_formula(s, table.columns) for s in needed if isinstance(s, str)]
    columns = list(dict.fromkeys(c for f in formulas if f for c in f.columns))
    words = table["status"] if "status" in table else pd.Series(State.DONE.value, index=table.index)
    keep = np.ones(len(table), bool)
    for word in sorted(set(words) - {State.DONE, *CENSORED}):
        has_word = (words == word).to_numpy()
        left[f"status {word!r}: not finished"] = int(has_word.sum())
        keep &= ~has_word
    unknown = pd.DataFrame({c: with_bounds(table, c)[c].isna() for c in columns})
    empty = keep & unknown.any(axis=1).to_numpy() & (words == State.DONE).to_numpy()
    if empty.any() and not empty[keep].all():
        left["unmeasured: a cell that the law reads is empty"] = int(empty.sum())
        keep &= ~empty
    if not keep.any():
        raise UserError(f"no run has finished: {', '.join(left)}")
    finished = table[keep]
    if (words == State.DONE).all():
        finished = finished.drop(columns="status", errors="ignore")
    finished.attrs |= {"left_out": left, "notes": list(notes)}
    return finished
