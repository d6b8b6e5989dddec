"""Curves as a table: one row for every step of every finished run."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pandas as pd

from scalinglab.analysis.tables.imported import (
    N_COUNTS,
    manifests,
    stored_curves,
    stored_runs,
)
from scalinglab.analysis.tables.numbers import read_csv_exactly
from scalinglab.analysis.tables.study_runs import LEFT_OUT, ended_runs, with_role
from scalinglab.analysis.tables.validation_sets import (
    SET,
    as_loss,
    pool_columns,
    pool_names,
    set_names,
    with_pool_sets,
)
from scalinglab.scaling.model.stated import size_of
from scalinglab.scaling.probes.folder import columns_by_step
from scalinglab.scaling.records.curve import TABLE_NAMES
from scalinglab.scaling.records.damage import DamagedFile, tell
from scalinglab.scaling.records.record import Record
from scalinglab.scaling.records.run_folder import RunFolder

CURVE_COLUMNS = (
    "run",
    "step",
    "tokens",
    "lr",
    "train_loss",
    "grad_norm",
    "loss",
    "bpb",
    "N",
    "schedule",
    "seed",
    "cluster",
    "fingerprint",
    "status",
    SET,
)


def load_curves(
    outputs: str | Path,
    *,
    study: str | None = None,
    role: str | None = None,
    run_ids: Iterable[str] | None = None,
    loss: str | None = None,
) -> pd.DataFrame:
    """One row for every step of every finished run, or of those with a role, or of some.

    `loss` names a measured column, such as ``loss.<store>``, that is taken as the loss.

    Returns
    -------
    DataFrame
        ``run, step, tokens, lr, train_loss, grad_norm`` at every step (the training loss before the
        update), the validation ``loss`` (nats per token), ``bpb``, ``loss.<store>`` and all else
        that training or probes measured at steps (NaN elsewhere), and ``N, schedule, seed, cluster,
        fingerprint, status, validation_set`` of the run.
    """
    wanted_ids = None if run_ids is None else set(run_ids)
    contents: dict[str, tuple[str, str]] = {}
    pools: dict[str, dict[str, str]] = {}
    curves = []
    for manifest in manifests(outputs, study):
        curves.append(_of_role(stored_curves(manifest), stored_runs(manifest, N_COUNTS[1]), role))
        if wanted_ids is not None and len(curves[-1]):
            curves[-1] = curves[-1][curves[-1]["run"].isin(wanted_ids)]
    for folder, roles in ended_runs(outputs, study, "DONE"):
        if wanted_ids is not None and folder.run_id not in wanted_ids:
            continue
        if role is not None and not any(role in names for names in roles.values()):
            continue
        try:
            record, curve = folder.record(), read_curve(folder)
        except DamagedFile as error:
            tell(error, LEFT_OUT)
            continue
        curve.insert(0, "run", folder.run_id)
        curve = curve.join(_further_curves(record, curve["step"]))
        curve = _with_probes(curve, folder)
        spec = record.spec
        pools[folder.run_id] = {name: p.validation_content for name, p in spec.data.pools.items()}
        contents[folder.run_id] = spec.data.source, spec.data.validation_content
        constants: dict[str, Any] = {
            "N": size_of(spec.counts)[1],
            "schedule": spec.schedule_kind,
            "seed": spec.seed,
            "cluster": spec.family_id,
            "fingerprint": record.code.fingerprint,
            "status": record.status,
        }
        curves.append(curve.assign(**constants))
    called = pool_names(pools.values())
    curves = [
        curve.rename(columns=pool_columns(pools.get(curve["run"].iloc[0], {}), called))
        for curve in curves
        if len(curve)
    ]
    if not curves:
        return pd.DataFrame(columns=list(CURVE_COLUMNS))
    table = pd.concat(curves, ignore_index=True)
    if contents:
        names = set_names(outputs, [*called, *contents.values()])
        stored_sets = table[SET] if SET in table else pd.Series(None, table.index, object)
        own_sets = table["run"].map({run: names[content] for run, (_, content) in contents.items()})
        table = table.assign(**{SET: own_sets.where(own_sets.notna(), stored_sets)})
        table = with_pool_sets(table, {name: names[pool[1]] for pool, name in called.items()})
    return as_loss(table, loss)


def read_curve(folder: RunFolder) -> pd.DataFrame:
    """The curve of a finished run; its file calls the training loss ``loss``."""
    return read_csv_exactly(folder.curve_file()).rename(columns=TABLE_NAMES)


def _of_role(curves: pd.DataFrame, runs: pd.DataFrame, role: str | None) -> pd.DataFrame:
    """The curves of the runs with a role, with their clusters."""
    if curves.empty:
        return curves
    if role is not None:
        runs = with_role(runs, role)
    if "cluster" in runs:
        curves = curves.assign(cluster=curves["run"].map(runs.set_index("run_id")["cluster"]))
    return curves[curves["run"].isin(runs["run_id"])]


def _further_curves(record: Record, steps: pd.Series) -> pd.DataFrame:
    """Measurements during training, in the rows of a curve; the oldest records have none."""
    columns: dict[str, Any] = {n: v for n, v in record.measured.items() if n != "step"}
    index: Any = record.measured.get("step", [])
    table = pd.DataFrame(columns, index=index).astype(float)
    return table.reindex(steps.to_numpy()).set_index(steps.index)


def _with_probes(curve: pd.DataFrame, folder: RunFolder) -> pd.DataFrame:
    """A curve with the numbers of probes at its steps; columns measured in training stay."""
    by_step = columns_by_step(folder)
    if not by_step:
        return curve
    table = pd.DataFrame.from_dict(by_step, orient="index").astype(float)
    table = table.reindex(curve["step"].to_numpy()).set_index(curve.index)
    return curve.combine_first(table)[[*curve, *(c for c in table if c not in curve)]]
