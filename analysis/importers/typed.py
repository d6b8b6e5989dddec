"""Tables under our names: the role of each column, and which rows are runs."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field

import pandas as pd

from scalinglab.analysis.importers.columns import CONFIGURED_LR, Column, choose
from scalinglab.analysis.importers.formats.raw import BadRun, Raw
from scalinglab.analysis.importers.role_names import matching
from scalinglab.analysis.importers.roles import ROLES
from scalinglab.analysis.importers.take import take
from scalinglab.analysis.importers.units import losses
from scalinglab.analysis.tables.factors import has
from scalinglab.scaling.errors import UserError


@dataclass
class Typed:
    """Tables under our names, and what was decided so far."""

    parts: list[tuple[Raw, pd.DataFrame]] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    sources: list[str] = field(default_factory=list)  # columns that losses come from
    names: list[str] = field(default_factory=list)  # which column is what, a sentence each
    chosen: list[dict[str, Column]] = field(default_factory=list)  # of each table
    others: list[str] = field(default_factory=list)  # columns that have no role


def typed(
    raws: Sequence[Raw],
    columns: Mapping[str, str | float],
    about: pd.DataFrame | None,
    roles: Collection[str] = tuple(ROLES),
    as_rows: bool = False,
) -> Typed:
    """Each table under our names; one of many runs that cannot be read is left out and named.

    With `as_rows` nobody asks whether rows are runs or steps.

    Raises
    ------
    UserError
        If nothing was given, or nothing of it can be read: the first reason.
    """
    read, bad = Typed(notes=[note for raw in raws for note in raw.notes]), []
    one_run_each = True  # what cannot be read is one run each
    renamed: dict[tuple[str, str], list[str]] = {}
    for raw in raws:
        own_names = {
            k: v
            for k, v in columns.items()
            if not isinstance(v, str) or has(raw.frame, v) or not _elsewhere(v, k, raws, about)
        }
        try:
            if raw.frame.empty:
                raise BadRun(f"{raw.name} has no rows")
            chosen, more_notes = choose(raw, own_names, roles)
            part = take(raw, own_names, chosen)
            part = part if as_rows else _rows_that_are_runs(raw, part, own_names)
        except UserError as error:
            bad.append(error)
            one_run_each &= raw.one_run or not matching("run", list(map(str, raw.frame.columns)))
            continue
        read.parts.append((raw, part))
        read.chosen.append(chosen)
        read.notes += more_notes
        used = {c for column in chosen.values() for c in column.formula.columns}
        unknown = set(part) & set(raw.frame) - set(ROLES) - used - set(losses(part))
        read.others += [c for c in map(str, part) if c in unknown - set(read.others)]
        read.sources += [
            c.source for name, c in chosen.items() if "loss" in name and c.formula.plain
        ]
        for name, column in chosen.items():
            if column.source != name and name not in own_names:
                renamed.setdefault((name, column.source), []).append(raw.name)
    if not read.parts or (bad and not one_run_each):
        raise bad[0] if bad else UserError("nothing was given to read: name a file or folder")
    read.notes += [f"left out: {error}" for error in bad]
    read.names += [_renaming(*key, where) for key, where in renamed.items()]
    return read


def _renaming(name: str, source: str, where: list[str]) -> str:
    place = where[0] if len(where) == 1 else f"{len(where)} tables"
    if name == CONFIGURED_LR:
        return (
            f"{place}: no learning rate was logged; the setting {source!r} is taken for the"
            " peak of a run, not for its course"
        )
    return f"{place}: {name} is {'its' if len(where) == 1 else 'their'} column {source!r}"


def _rows_that_are_runs(
    raw: Raw, part: pd.DataFrame, renamed: Mapping[str, str | float]
) -> pd.DataFrame:
    """The table without its steps where each row is a run of its own, and they count its length.

    Raises
    ------
    UserError
        If rows of different sizes have steps and nothing says which run they are of.
    """
    part = _by_id(part)
    if "run" not in part and "step" in part:
        sizes = next(
            (
                c
                for c in ("N", "n_block", "n_total", "D", "width", "seed")
                if c in part and part[c].nunique() > 1
            ),
            None,
        )
        if sizes is None:
            return part
        raise UserError(
            f"{raw.name}: its rows differ in {sizes} and have steps, and no column names the runs;"
            f" say columns.run=NAME (columns.run={sizes} if that tells them apart), or"
            " columns.steps=NAME of the steps if each row is a run"
        )
    if "run" in part and "step" not in part and "steps" in part and part["run"].duplicated().any():
        grows = part.groupby("run")["steps"].nunique().max() > 1
        return part.rename(columns={"steps": "step"}) if grows and "steps" not in renamed else part
    if (
        {"run", "step"} <= set(part)
        and len(part) > 1
        and not part["run"].duplicated().any()
        and "step" not in renamed
        and not raw.one_run
    ):
        runs = part.rename(columns={"step": "steps"} if "steps" not in part else {})
        return runs.drop(columns="step", errors="ignore")
    return part


def _by_id(part: pd.DataFrame) -> pd.DataFrame:
    """Rows of one name (and step) named by an id, where the table has one that no two share."""
    keys = [c for c in ("run", "step") if c in part]
    if "run" not in part or not part.duplicated(keys).any():
        return part
    for column in ("id", "ID", "uuid", "Id"):
        if column in part and part[column].is_unique and part[column].notna().all():
            return part.assign(run=part[column].astype(str))
    return part


def _elsewhere(source: str, name: str, raws: Sequence[Raw], about: pd.DataFrame | None) -> bool:
    """Whether a column that one table lacks stands in another."""
    in_about = about is not None and name in about
    return in_about or any(has(raw.frame, source) for raw in raws)


def about_runs(runs: pd.DataFrame | Raw, renamed: Mapping[str, str | float]) -> pd.DataFrame:
    """What a second table says of the runs, a row each.

    Raises
    ------
    UserError
        If no column names the runs, or one has a run twice.
    """
    raw = runs if isinstance(runs, Raw) else Raw(runs, "runs", first=0)
    own_names = {k: v for k, v in renamed.items() if isinstance(v, str) and has(raw.frame, v)}
    table = take(raw, own_names, choose(raw, own_names)[0]).drop(columns="_row")
    if "run" not in table:
        raise UserError(f"{raw.name}: no column names the runs; say columns.run=NAME")
    twice = table["run"].duplicated()
    if twice.any():
        raise UserError(f"{raw.name} has run {table['run'][twice].iloc[0]!r} more than once")
    return table.drop(columns=[c for c in losses(table) if c in table])


def joined(table: pd.DataFrame, about: pd.DataFrame) -> pd.DataFrame:
    """Curves with what `about_runs` says of their runs.

    Raises
    ------
    UserError
        If nothing is said of some run.
    """
    columns = [c for c in about if c == "run" or c not in table]
    missing = sorted(set(table["run"]) - set(about["run"]))
    if missing:
        raise UserError(f"runs: nothing is said of run {missing[0]!r} ({len(missing)} such)")
    return table.merge(about[columns], on="run", how="left")
