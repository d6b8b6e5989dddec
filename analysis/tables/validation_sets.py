"""The validation set of a loss: losses on different sets are not comparable."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from pathlib import Path

import pandas as pd

from scalinglab.analysis.tables.bounds import of_column
from scalinglab.analysis.tables.typed import names_of
from scalinglab.scaling.errors import UserError
from scalinglab.scaling.probes.probe import COLUMN, TASK
from scalinglab.scaling.records.atomic import read_json
from scalinglab.scaling.records.damage import DamagedFile, Shape, tell

SET = "validation_set"  # column: the set on which a run's own losses were measured
FURTHER_LOSS = "loss."  # and the name of a store: the loss on its validation part
_MANIFEST: Shape = {"content_hash": str}
OWN = ("loss", "bpb", "train_loss")  # columns measured on the run's own data


def set_names(outputs: str | Path, contents: Iterable[tuple[str, str]]) -> dict[str, str]:
    """Hash of a run's data -> name of its validation set, as ``execution.validate`` takes it.

    Stores that differ only in their training part have one validation set. A store that was removed
    is named by its source and hash. The name of a set that was selected from a validation part (its
    hash follows that of the data) says so.

    Parameters
    ----------
    outputs : path
    contents : iterable of (str, str)
        Source and hash of the data of each run.
    """
    selections = {content: content.partition("/") for _, content in contents}
    sources = {selections[content][0]: source for source, content in contents}
    folders: dict[str, Path] = {}
    for manifest in sorted(Path(outputs).glob("data/*/manifest.json")):
        try:
            folders.setdefault(read_json(manifest, _MANIFEST)["content_hash"], manifest.parent)
        except DamagedFile as error:
            tell(error, "its store counts as gone")
    names = {c: folders[c].name if c in folders else f"{s}-{c[:8]}" for c, s in sources.items()}
    if len(names) > 1:  # only then is it worth reading them
        first: dict[str, str] = {}
        for content, name in names.items():
            if content in folders and (tokens := _validation_hash(folders[content])) is not None:
                names[content] = first.setdefault(tokens, name)
    return {c: f"{names[data]}{of}{select}" for c, (data, of, select) in selections.items()}


def _validation_hash(folder: Path) -> str | None:
    """Hash of a store's validation part; None if that was removed."""
    try:
        with (folder / "validation.bin").open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except FileNotFoundError:
        return None


def with_common_sets(table: pd.DataFrame, names: Iterable[str] = ()) -> pd.DataFrame:
    """The table with ``loss.<store>`` also for runs whose own validation set that store is.

    `names` are further columns, of sets on which some run may have been validated as its own.
    """
    if SET not in table or "loss" not in table:
        return table
    filled = {}
    for name in dict.fromkeys([*table, *names]):
        if not str(name).startswith(FURTHER_LOSS):
            continue
        is_own = table[SET] == name.removeprefix(FURTHER_LOSS)
        if name in table:
            filled[name] = table[name].mask(is_own & table[name].isna(), table["loss"])
        elif is_own.any():
            filled[name] = table["loss"].where(is_own)
    return table.assign(**filled)


def pool_names(pools: Iterable[Mapping[str, str]]) -> dict[tuple[str, str], str]:
    """(pool, hash of its content) -> its name in columns; with the hash where a name has several.

    Parameters
    ----------
    pools : iterable of mapping of str to str
        Of each run, pool -> hash of its content.
    """
    contents: dict[str, set[str]] = {}
    for run_pools in pools:
        for name, content in run_pools.items():
            contents.setdefault(name, set()).add(content)
    return {
        (name, content): name if len(contents_of_name) == 1 else f"{name}-{_short(content)}"
        for name, contents_of_name in contents.items()
        for content in contents_of_name
    }


def _short(content: str) -> str:
    data, of, select = content.partition("/")
    return f"{data[:8]}{of}{select}"


def with_pool_sets(table: pd.DataFrame, stores: Mapping[str, str]) -> pd.DataFrame:
    """The table with one column of losses per validation set, whichever name a run has for it.

    A run of one source, or with ``execution.validate``, names a set by its store; a run that draws
    from several pools names it by the pool.

    Parameters
    ----------
    table : DataFrame
    stores : mapping of str to str
        Pool -> the name of its store.
    """
    if SET not in table or "loss" not in table:
        return table
    filled = {}
    for pool, store in stores.items():
        by_pool, by_store = f"{FURTHER_LOSS}{pool}", f"{FURTHER_LOSS}{store}"
        if by_pool not in table:
            continue
        losses = table[by_pool].mask(table[by_pool].isna() & (table[SET] == store), table["loss"])
        if by_store in table:
            losses = losses.fillna(table[by_store])
            filled[by_store] = table[by_store].fillna(losses)
        filled[by_pool] = losses
    return table.assign(**filled)


def as_loss(table: pd.DataFrame, column: str | None) -> pd.DataFrame:
    """The table with a measured column as its loss; None leaves it as it is.

    Raises
    ------
    UserError
        If no run has such a column.
    """
    if column is None or column == "loss":
        return table
    table = with_common_sets(table, [column])
    if column not in table or (table[column].isna().all() and not of_column(table, column, "")):
        columns = [
            c
            for c in names_of(table)
            if (c in OWN or c.startswith((FURTHER_LOSS, TASK, COLUMN))) and table[c].notna().any()
        ]
        raise UserError(
            f"columns.loss = {column!r}: no run has such a measured column; there are:"
            f" {', '.join(columns) or 'none'}"
        )
    table = table.assign(loss=table[column], **of_column(table, column, "loss"))
    if column.startswith(TASK) and SET in table:
        table = table.assign(**{SET: column})  # of one set of items, whatever the runs trained on
    if column.startswith(FURTHER_LOSS) and SET in table:
        table = table.assign(**{SET: column.removeprefix(FURTHER_LOSS)})
    return table


def refuse_different_sets(table: pd.DataFrame, columns: Iterable[str] = ("loss",)) -> None:
    """Refuse losses that were measured on different validation sets.

    Rows that name no set, as in imported tables, are taken to have one set.

    Parameters
    ----------
    table : DataFrame
    columns : iterable of str
        Columns that are compared; a column of a further set names its set itself.

    Raises
    ------
    UserError
        If there are several sets; names them, and the sets that all rows have in common.
    """
    if SET not in table or not set(columns) & set(OWN):
        return
    sets = table[SET].dropna().astype(str).value_counts()
    if len(sets) < 2:
        return
    text = ", ".join(f"{count} on {name}" for name, count in sets.head(4).items())
    table = with_common_sets(table)
    common = [c for c in table if str(c).startswith(FURTHER_LOSS) and table[c].notna().all()]
    first = sets.index[0]
    way = (
        f"columns.loss={common[0]} names one that all have"
        if common
        else "one data.validation_select for all makes them one"
        if "/" in first
        else (
            f"scaling probe probe=validation options.store={first} (with study=NAME of each) "
            f"measures all of them on that set, then columns.loss={FURTHER_LOSS}{first} compares "
            "them"
        )
    )
    raise UserError(
        f"the losses of these runs were measured on {len(sets)} validation sets"
        f" ({text}) and do not compare; {way}"
    )


def sets_of(table: pd.DataFrame) -> list[str]:
    """Names of the validation sets of the rows; empty if no row says any."""
    return sorted(table[SET].dropna().astype(str).unique()) if SET in table else []


def pool_columns(
    own_pools: Mapping[str, str], called: Mapping[tuple[str, str], str]
) -> dict[str, str]:
    """Columns of a run's pools -> their names beside those of other runs."""
    return {f"{FURTHER_LOSS}{p}": f"{FURTHER_LOSS}{called[p, c]}" for p, c in own_pools.items()}
