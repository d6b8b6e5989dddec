"""Records as a table: one row for every run that has ended.

They are read from the run folders below an outputs folder; nothing is parsed from logs.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from scalinglab.analysis.tables.imported import COUNTS, manifests, stored_runs
from scalinglab.analysis.tables.study_runs import LEFT_OUT, ended_runs, with_role
from scalinglab.analysis.tables.validation_sets import (
    SET,
    as_loss,
    pool_columns,
    pool_names,
    set_names,
    with_pool_sets,
)
from scalinglab.scaling.errors import UserError
from scalinglab.scaling.model.flops import DEFAULT_CONVENTION, flops_per_token
from scalinglab.scaling.model.module import Network
from scalinglab.scaling.model.stated import n_counts, size_of, stated_convention
from scalinglab.scaling.probes.folder import columns_at
from scalinglab.scaling.records.damage import DamagedFile, tell
from scalinglab.scaling.records.data_spec import mixture_text
from scalinglab.scaling.records.identity import canonical_json
from scalinglab.scaling.records.notes import notes_text
from scalinglab.scaling.records.recipe import recipe
from scalinglab.scaling.records.record import Record, stopped_record
from scalinglab.scaling.records.run_folder import RunFolder

# The convention in which answers count C: 6 N D with N = n_matmul. The allocation has a closed form
# in it, and budgets mean the same for measured and planned models.
FLOPS = "matmul"
RUN_COLUMNS = (
    "run_id",
    "study",
    "role",
    "status",
    "N",
    *COUNTS,
    "D",
    "C",
    "n_count",
    "flops_convention",
    "loss",
    "bpb",
    "train_loss",
    "irreducible_loss",
    "lr",
    "schedule",
    "batch",
    "steps",
    "width",
    "depth",
    "heads",
    "context",
    "vocab",
    "seed",
    "unique_tokens",
    "epochs",
    "cluster",
    "fingerprint",
    "tokens_per_second",
    "seconds",
    SET,
    "recipe",
)
# Column: the program that gave N or C itself, of the runs that have one.
COUNTS_FROM = "counts_from"
# Of tables of more than a hundred columns, as where each tensor is measured; they have few rows.
warnings.filterwarnings("ignore", message="DataFrame is highly fragmented")


def load(
    outputs: str | Path,
    *,
    study: str | None = None,
    role: str | None = None,
    n_count: str = "n_matmul",
    flops: str = DEFAULT_CONVENTION,
    loss: str | None = None,
) -> pd.DataFrame:
    """One row for every finished run, including diverged and stopped ones.

    Parameters
    ----------
    outputs : path
        The folder given to ``scaling launch`` as ``outputs``.
    study, role : str, optional
        Only the runs of this study, or with this role in it ("fit", "held_out", "curve",
        "sweep").
    n_count : str
        Which count is the column N: "n_matmul" (blocks and unembedding), "n_block", "n_total", or
        "n_active" (the part of "n_matmul" that one token passes through). If a program did not
        report this count, N is the first one that it reported, named by the column ``n_count``.
    flops : str
        The convention of the column C (``scalinglab.scaling.model.flops.CONVENTIONS``).
    loss : str, optional
        A measured column (``loss.<store>``) that is taken as the loss.

    Returns
    -------
    DataFrame
        ``run_id``; ``study`` and ``role`` (joined by commas where there are several); ``N, D, C``
        and how they were counted (``n_count, flops_convention``: a fit warns of mixed ones);
        ``loss`` (final validation, nats per token) and ``bpb``; ``loss.<store>``, where runs were
        validated on further sets; ``validation_set``, the name of the store on which ``loss`` was
        measured; ``lr`` (peak), ``seed``; ``counts_from``, where a program gave N or C itself,
        which then stand for those of the configuration; ``notes`` that people kept with runs;
        ``cluster`` (runs with the same initial weights and data order are not independent);
        ``status`` ("done", "diverged" or "stopped"); ``fingerprint`` of the code;
        ``recipe``, all that the runs of one ladder have in common, as JSON; and more.

    Raises
    ------
    UserError
        If the folder, the study, the count, the convention or the measured column does not exist.
    """
    if n_count not in COUNTS:
        raise UserError(f"n_count = {n_count!r} is not one of: {', '.join(COUNTS)}")
    rows, architectures, pools = [], [], []
    ended = [*ended_runs(Path(outputs), study, "DONE"), *ended_runs(outputs, study, "STOPPED")]
    for folder, roles in ended:
        try:
            record = folder.record() if folder.done() else _record_so_far(folder)
        except DamagedFile as error:
            tell(error, LEFT_OUT)
            continue
        row = _columns(columns_at(folder, record.steps)) | _row(record, roles, study)
        if notes := notes_text(folder):
            row["notes"] = notes
        counted, size = size_of(record.spec.counts, n_count)
        convention = stated_convention(record.spec.flops, flops)
        row |= {"N": size, "n_count": counted, "flops_convention": convention}
        row["C"] = flops_per_token(record.spec.flops, flops) * row["D"]
        rows.append(row)
        architectures.append(record.spec.architecture)
        pools.append({n: p.validation_content for n, p in record.spec.data.pools.items()})
    rows = [common | row for common, row in zip(_of_parts(architectures), rows, strict=True)]
    called = pool_names(pools)
    names = set_names(outputs, [*called, *(row[SET] for row in rows)])
    rows = [
        _renamed(row, own_pools, called) | {SET: names[row[SET][1]]}
        for row, own_pools in zip(rows, pools, strict=True)
    ]
    open_columns = dict.fromkeys(name for row in rows for name in row if name not in RUN_COLUMNS)
    table = pd.DataFrame(rows, columns=[*RUN_COLUMNS, *open_columns])
    table = with_pool_sets(table, {name: names[pool[1]] for pool, name in called.items()})
    brought = [stored_runs(manifest, n_count) for manifest in manifests(outputs, study)]
    if brought:
        table = pd.concat([*([table] if rows else []), *brought], ignore_index=True)
        table = table.reindex(columns=[*RUN_COLUMNS, *(c for c in table if c not in RUN_COLUMNS)])
    if role is not None:
        table = with_role(table, role)
    table = table.astype(dict.fromkeys(("N", *COUNTS, "D", "C"), float))  # 6 N D passes 2^63
    table = as_loss(table, loss if len(table) else None)
    return table.sort_values(["N", "D", "seed", "run_id"], ignore_index=True)


def _record_so_far(folder: RunFolder) -> Record:
    """The record of a run that was stopped before its last step."""
    stop = folder.stopped()
    return stopped_record(folder.spec(), 0 if stop is None else stop.step)


def _row(record: Record, roles: dict[str, list[str]], study: str | None) -> dict[str, Any]:
    spec, final = record.spec, record.final
    chosen_roles = roles if study is None else {study: roles[study]}
    return {
        **_columns(record.columns),
        "run_id": record.run_id,
        "study": ",".join(chosen_roles),
        "role": ",".join(dict.fromkeys(r for names in chosen_roles.values() for r in names)),
        "status": record.status,
        **n_counts(spec.counts),
        **({COUNTS_FROM: record.counts_from} if record.counts_from else {}),
        "D": record.tokens,
        "loss": _number(final.validation_loss),
        "bpb": _number(final.validation_bpb),
        "train_loss": _number(final.train_loss),
        "irreducible_loss": _number(final.irreducible_loss),
        **_of_vocabulary(record),
        "lr": spec.lr_peak,
        "schedule": spec.schedule_kind,
        "batch": spec.batch,
        "steps": record.steps,
        **{k: getattr(spec.shape, k) for k in ("width", "depth", "heads", "context", "vocab")},
        "seed": spec.seed,
        "unique_tokens": spec.unique_tokens,
        "epochs": record.epochs,
        "cluster": spec.family_id,
        "fingerprint": record.code.fingerprint,
        "tokens_per_second": _number(record.throughput.tokens_per_second),
        "seconds": record.throughput.seconds,
        SET: (spec.data.source, spec.data.validation_content),
        **({"mixture": mixture_text(spec.data.mixture)} if spec.data.mixture else {}),
        "recipe": canonical_json(recipe(spec.science, spec.config, vars(spec.shape))),
    }


def _of_vocabulary(record: Record) -> dict[str, float]:
    """Columns of the law ``vocabulary``, whose losses are comparable between vocabularies."""
    final, shape = record.final, record.spec.shape
    if final.unigram_entropy is None:
        return {}
    loss = _number(final.validation_loss) - final.unigram_entropy
    return {"unigram_loss": loss, "N_vocab": float(shape.vocab * shape.width)}


def _renamed(
    row: dict[str, Any], own_pools: Mapping[str, str], called: Mapping[tuple[str, str], str]
) -> dict[str, Any]:
    new = pool_columns(own_pools, called)
    return {new.get(name, name): value for name, value in row.items()}


def _of_parts(architectures: Iterable[Network]) -> list[dict[str, float]]:
    """Columns of the parts of each network; networks without a part have its neutral value."""
    brought = [a.columns() for a in architectures]
    without = {name: value for columns in brought for name, (_, value) in columns.items()}
    return [without | {name: value for name, (value, _) in columns.items()} for columns in brought]


def _columns(values: Mapping[str, float | None]) -> dict[str, float]:
    return {name: _number(value) for name, value in values.items()}


def _number(value: float | None) -> float:
    return np.nan if value is None else value
