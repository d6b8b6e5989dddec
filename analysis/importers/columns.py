"""The column of each role: as the user says, else by the names that trackers and papers use."""

from __future__ import annotations

import difflib
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from scalinglab.analysis.importers.cells import numbers
from scalinglab.analysis.importers.formats.raw import Raw
from scalinglab.analysis.importers.role_names import (
    matching,
    measure_of,
    normal,
    sounds_like_a_loss,
    sounds_validated,
    spellings,
)
from scalinglab.analysis.importers.roles import ROLES, TEXT
from scalinglab.analysis.tables.factors import Formula, read_formula
from scalinglab.scaling.errors import UserError

CONFIGURED_LR = "_configured_lr"  # a run's rate that was set, where none was logged
_HEAD = 1000  # rows by which a column is judged
_FEW = 12  # names of columns in a message
_HIDDEN = ("_runtime", "_wandb", "gradients/", "parameters/", "system/", "system.")


@dataclass(frozen=True)
class Column:
    """The source of one of our columns.

    Attributes
    ----------
    role : str
    source : str
        As the table calls it, or the formula that was given.
    formula : Formula
    given : bool
        Whether a person said so.
    fact : bool
        It is no column but a setting that holds for every row.
    """

    role: str
    source: str
    formula: Formula
    given: bool = False
    fact: bool = False


def choose(
    raw: Raw, renamed: Mapping[str, str | float], roles: Collection[str] = tuple(ROLES)
) -> tuple[dict[str, Column], list[str]]:
    """The sources of our columns in a table, and a sentence on each decision.

    Only `roles` and the names in `renamed` are searched. Numbers in `renamed` are values for every
    row, not columns. Logged values have priority over configured ones.

    Raises
    ------
    UserError
        If a name is not ours, a column does not exist, or the loss could be one of several.
    """
    have, settings = [str(c) for c in raw.frame.columns], settings_of(raw)
    chosen, notes = _as_told(raw, renamed, have, settings), []
    used_columns = {c for column in chosen.values() for c in column.formula.columns}
    for name in ROLES:
        if (
            name in renamed
            or name not in roles
            or (name == "run" and raw.one_run)
            or (name == "tokens" and counted_by_step(renamed))
        ):
            continue
        candidates = [
            c
            for c in matching(name, have)
            if c not in used_columns and (name in TEXT or _has_numbers(raw, c))
        ]
        if name == "loss":
            candidates = _losses(candidates, have, raw.name, used_columns)
        elif name == "lr" and len(candidates) > 1:
            candidates, rate_notes = _one_rate(raw, candidates)
            notes += rate_notes
        if candidates:
            chosen[name] = Column(name, candidates[0], Formula(((candidates[0], 1.0),)))
        elif name not in ("step", "loss") and (setting := _setting(name, settings)) is not None:
            role = CONFIGURED_LR if name == "lr" else name
            chosen[role] = Column(role, setting, Formula(((setting, 1.0),)), fact=True)
        used_columns |= {c for column in chosen.values() for c in column.formula.columns}
    if "train_loss" in roles:
        _train_loss(chosen, have, renamed)
    return chosen, notes


def counted_by_step(renamed: Mapping[str, str | float]) -> bool:
    """Whether a person said how tokens follow from steps: then no column of tokens counts."""
    return {"batch", "context"} <= set(renamed) and "tokens" not in renamed


def _has_numbers(raw: Raw, column: str) -> bool:
    """Whether any of a column's first cells is a number, or all are empty."""
    cells = raw.frame[column]
    if pd.api.types.is_numeric_dtype(cells):
        return True
    head = cells.dropna().head(_HEAD)
    values, not_finite, bad = numbers(head, counts=True, decimal=raw.decimal)
    return bad is None or bool((~np.isnan(values) | not_finite).any())


def settings_of(raw: Raw) -> dict[str, object]:
    """What holds for every row and is no column."""
    return {k: v for k, v in raw.facts.items() if k not in raw.frame and k != "run"}


def _setting(role: str, settings: Mapping[str, object]) -> str | None:
    """The setting that is a role by its name, or by the last part of a nested one."""
    matches = matching(role, list(settings))
    if matches:
        return matches[0]
    ends = {name: name.rpartition(".")[2] for name in settings if "." in name}
    nested = [name for name, end in ends.items() if matching(role, [end])]
    same = {str(settings[name]) for name in nested}
    return nested[0] if len(same) == 1 else None


def _as_told(
    raw: Raw,
    renamed: Mapping[str, str | float],
    have: Sequence[str],
    settings: Mapping[str, object],
) -> dict[str, Column]:
    chosen = {}
    for name, source in renamed.items():
        if name not in ROLES and not name.startswith("loss_"):
            near = difflib.get_close_matches(name, ROLES, n=1)
            hint = f"; did you mean {near[0]!r}?" if near else f"; known are {', '.join(ROLES)}"
            raise UserError(f"columns.{name}: nothing is called so here{hint}")
        if not isinstance(source, str):
            continue
        formula = read_formula(source, have)
        fact = formula is None
        formula = read_formula(source, settings) if fact else formula
        if formula is None:
            raise UserError(missing(name, source, have, raw.name))
        chosen[name] = Column(name, source, formula, given=True, fact=fact)
    return chosen


def _losses(
    candidates: list[str], have: list[str], where: str, used_columns: set[str]
) -> list[str]:
    """The column that is the loss: one of validation before one called "loss"."""
    validated = [name for name in candidates if name.lower() != "loss"]
    if not validated:
        validated = [
            c
            for c in have
            if c not in used_columns
            and sounds_validated(c)
            and measure_of(c) is None
            and "train" not in c.lower()
        ]
        if len(validated) > 1 and candidates:
            return candidates
    if len(validated) > 1:
        listed = few(validated) if len(validated) > 2 else " and ".join(validated)
        raise UserError(
            f"{where}: {listed} could each be the loss; say columns.loss="
            f"{validated[0]} (and columns.loss_other={validated[1]} to keep the other)"
        )
    return validated or candidates


def _train_loss(
    chosen: dict[str, Column], have: Sequence[str], renamed: Mapping[str, str | float]
) -> None:
    """Beside a validation loss, a column called "loss" is that of training."""
    plain = next((c for c in have if c.lower() == "loss"), None)
    used_columns = {
        c
        for name, column in chosen.items()
        for c in column.formula.columns
        if name == "loss" or name.startswith("loss_")
    }
    if plain is not None and plain not in used_columns and "train_loss" not in renamed:
        chosen.setdefault("train_loss", Column("train_loss", plain, Formula(((plain, 1.0),))))


def _one_rate(raw: Raw, candidates: list[str]) -> tuple[list[str], list[str]]:
    """One column of rates where those of several groups of parameters agree."""
    if normal(candidates[0]) in spellings("lr"):
        return candidates, []
    values = [numbers(raw.frame[c], decimal=raw.decimal)[0] for c in candidates]
    if all(np.array_equal(values[0], v, equal_nan=True) for v in values[1:]):
        return candidates[:1], []
    note = (
        f"{raw.name}: {few(candidates)} are rates of several groups of parameters and differ: none"
        f" is taken; say columns.lr={candidates[0]}"
    )
    return [], [note]


def missing(name: str, source: str, have: Sequence[str], where: str) -> str:
    """A sentence: there is no such column."""
    near = difflib.get_close_matches(source, have, n=1)
    hint = f"; did you mean {near[0]!r}?" if near else f"; it has {few(have)}"
    return f"columns.{name} = {source!r}: {where} has no such column{hint}"


def no_loss(raws: Sequence[Raw]) -> str:
    """A sentence: no column is the loss, and which ones could be."""
    have = [str(c) for c in dict.fromkeys(c for raw in raws for c in raw.frame.columns)]
    where = raws[0].name if len(raws) == 1 else "the tables"
    other_measures = {
        "perplexity": "columns.loss='log({})'",
        "bits": "columns.loss={} unit=bits or unit=bits_per_byte",
    }
    for name in have:
        measure = measure_of(name)
        if measure is not None:
            return (
                f"{where}: no column is the loss; of {name!r} it can be made:"
                f" {other_measures[measure].format(name)}"
            )
    near = [c for c in have if sounds_like_a_loss(c)]
    listed = near or [c for c in have if not c.startswith(_HIDDEN)]
    phrase = "these may be" if near else "it has"
    return f"{where}: no column is the loss; say columns.loss=NAME ({phrase} {few(listed)})"


def few(names: Sequence[str]) -> str:
    """Names in a message: not five thousand of them."""
    text = ", ".join(map(str, names[:_FEW]))
    return text + (f" and {len(names) - _FEW:,} more" if len(names) > _FEW else "")
