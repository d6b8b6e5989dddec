"""Rows under our names, with numbers and text as such, and impossible counts and losses refused."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd

from scalinglab.analysis.importers.cells import numbers
from scalinglab.analysis.importers.columns import Column, counted_by_step, settings_of
from scalinglab.analysis.importers.formats.raw import Raw
from scalinglab.analysis.importers.roles import ROLES, TEXT
from scalinglab.analysis.tables.factors import Formula
from scalinglab.analysis.tables.numbers import to_numbers
from scalinglab.scaling.errors import UserError


def take(
    raw: Raw, renamed: Mapping[str, str | float], chosen: Mapping[str, Column]
) -> pd.DataFrame:
    """The rows under our names, numbers as numbers, with the number of each row in ``_row``.

    Columns that are nobody's keep their names. Losses that were no number are infinite, those that
    were not measured NaN.

    Raises
    ------
    UserError
        If a cell is no number, or smaller than such a thing can be, or if a column that has the
        name of one of our counts or losses holds text alone: names the row.
    """
    size, settings = len(raw.frame), settings_of(raw)
    typed: dict[str, object] = {"_row": raw.numbers}
    for name, column in chosen.items():
        cells = _cells(raw, column, settings, size)
        typed[name] = _words(column, cells) if name in TEXT else _numbers(raw, column, cells)
    for name, value in renamed.items():
        if not isinstance(value, str):
            typed[name] = np.full(size, float(value))
    if raw.one_run:
        typed["run"] = [str(raw.facts.get("run", raw.name))] * size
    used_columns = {c for column in chosen.values() for c in column.formula.columns}
    for name in map(str, raw.frame.columns):
        if name == "tokens" and counted_by_step(renamed):
            continue
        if name not in typed and name not in used_columns:
            cells_of = raw.frame[name]
            plain: Any = _plain(cells_of, raw.decimal)
            typed[name] = plain
            if _is_counted_with(name, chosen) and not pd.api.types.is_numeric_dtype(plain):
                typed[name] = _numbers(
                    raw, Column(name, name, Formula(((name, 1.0),))), {name: cells_of}
                )
    for name, setting in settings.items():
        if name not in typed and name not in used_columns:
            typed[name] = [setting] * size
    _check_sizes(typed, raw)
    return pd.DataFrame(typed).reset_index(drop=True)


def _cells(
    raw: Raw, column: Column, settings: Mapping[str, object], size: int
) -> dict[str, pd.Series]:
    """The cells of what a column is made of; a setting in every row."""
    if not column.fact:
        return {c: raw.frame[c] for c in column.formula.columns}
    return {c: pd.Series([settings[c]] * size, dtype=object) for c in column.formula.columns}


def _words(column: Column, cells: Mapping[str, pd.Series]) -> pd.Series:
    if not column.formula.plain:
        raise UserError(f"columns.{column.role} = {column.source!r}: a name is one column alone")
    return _text(cells[column.formula.columns[0]])


def _text(cells: pd.Series) -> pd.Series:
    if pd.api.types.is_float_dtype(cells) and (cells.dropna() % 1 == 0).all():
        cells = cells.astype("Int64")  # a run called 7 is not called 7.0
    text = cells.astype(str).str.strip()
    return text.where(cells.notna() & (text != ""), None).reset_index(drop=True)


def _plain(cells: pd.Series, decimal: str) -> object:
    """A column that is nobody's: as numbers if it holds nothing else."""
    if pd.api.types.is_numeric_dtype(cells):
        return cells.to_numpy()
    first = next((c for c in cells if isinstance(c, str) and c.strip()), "")
    if first and not first.strip()[0].isalpha():
        values, not_finite, bad = numbers(cells, decimal=decimal)
        if bad is None:
            return np.where(not_finite, np.nan, values)
    text = _text(cells)
    read = to_numbers(text)
    return read.to_numpy() if read.notna().sum() == text.notna().sum() else text


def _is_counted_with(name: str, chosen: Mapping[str, Column]) -> bool:
    """Whether runs and curves are made with a column of this name; else it may be a label."""
    role = ROLES.get(name)
    if role is None:
        return False
    return (
        (role.kind in ("count", "loss") and name != "width")
        or name == "bytes_per_token"
        or ("step" in chosen and name in ("lr", "branch_step"))
    )


def _numbers(raw: Raw, column: Column, cells: Mapping[str, pd.Series]) -> np.ndarray:
    role = ROLES.get(column.role)
    counts = role is not None and role.kind == "count"
    is_loss = "loss" in column.role
    values, lost = {}, np.zeros(len(raw.frame), bool)
    for source, column_cells in cells.items():
        values[source], not_finite, bad = numbers(column_cells, counts=counts, decimal=raw.decimal)
        if bad is not None:
            wrong = pd.to_numeric(column_cells, errors="coerce").isna().sum()
            where = f"{raw.name}, row {raw.numbers[bad]}" if not column.fact else raw.name
            raise UserError(
                f"{where}: {source} = {str(column_cells.iloc[bad])[:60]!r} is no number"
                f" ({wrong} of {len(column_cells)} cells are none)"
            )
        lost |= not_finite
        if is_loss:
            values[source] = np.where(not_finite, np.nan, values[source])
    result = column.formula.value(values)
    # A tracker writes "nan" for a loss that was one, and nothing where none was measured.
    return np.where(lost, np.inf, result) if is_loss else result


def _check_sizes(typed: Mapping[str, object], raw: Raw) -> None:
    """Refuse counts and losses that nothing can have."""
    for name in typed:
        role = ROLES.get(name)
        is_loss = name.startswith("loss") or (role is not None and role.kind == "loss")
        if not is_loss and (role is None or (role.kind != "count" and role.least is None)):
            continue
        least = 0.0 if role is None or role.least is None else role.least
        values = np.asarray(typed[name])
        if values.dtype.kind != "f":
            continue
        wrong = values < least if is_loss else ~((values >= least) & np.isfinite(values))
        bad = np.flatnonzero(wrong & ~np.isnan(values))
        if len(bad):
            quantity = "loss" if is_loss else "count"
            unit = (
                ""
                if is_loss
                else (f" (if it counts millions or billions: columns.{name}='NAME * 1e9')")
            )
            raise UserError(
                f"{raw.name}, row {raw.numbers[bad[0]]}: {name} = {values[bad[0]]:g} is no "
                f"{quantity}; expected is {least:g} or more{unit}"
            )
