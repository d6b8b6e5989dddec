"""Records as tables: one row a run, or one row a step.

Reads what runs left under an outputs folder; nothing is parsed from logs, and nothing but pure
files is needed.
"""

from __future__ import annotations

import warnings
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from scalinglab.analysis.tables.imported import (
    COUNTS,
    MANIFEST,
    N_COUNTS,
    manifests,
    read_manifest,
    stored_curves,
    stored_runs,
)
from scalinglab.analysis.tables.numbers import read_csv_exactly
from scalinglab.analysis.tables.validation_sets import (
    FURTHER_LOSS,
    SET,
    as_loss,
    pool_names,
    set_names,
    with_pool_sets,
)
from scalinglab.scaling.errors import UserError
from scalinglab.scaling.extensions import loading
from scalinglab.scaling.model.flops import DEFAULT_CONVENTION, flops_per_token
from scalinglab.scaling.model.module import Network
from scalinglab.scaling.model.stated import n_counts, size_of, stated_convention
from scalinglab.scaling.probes.folder import columns_at, columns_by_step
from scalinglab.scaling.records.damage import DamagedFile, tell
from scalinglab.scaling.records.identity import canonical_json
from scalinglab.scaling.records.plan_file import (
    PlanFile,
    read_plan_file,
    read_study_config,
    stored_plans,
)
from scalinglab.scaling.records.recipe import recipe
from scalinglab.scaling.records.record import TABLE_NAMES, Record, stopped_record
from scalinglab.scaling.records.run_folder import RunFolder
from scalinglab.scaling.records.spec import mixture_text
from scalinglab.scaling.records.state import CENSORED, State
from scalinglab.scaling.text.shell import override

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
_TRAIN = "scaling launch study={study} trains what is left"
_WAYS_ON = {  # state of a run -> what brings it to a measured end
    State.DIVERGED: "a diverged run has no final loss: a lower optimizer.lr may help",
    State.RUNNING: "scaling status study={study} watch=true shows how far they are",
    State.STOPPED: "scaling forecast study={study} take_up=stopped lets stopped runs be trained",
    State.FAILED: "scaling status study={study} why=true says why they failed",
    State.INTERRUPTED: _TRAIN,
    State.PLANNED: _TRAIN,
}
COUNTS_FROM = (
    "counts_from"  # column: the program that gave N or C itself, of the runs that have one
)
LEFT_OUT = "its run is left out"
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
    """One row for every finished run; those that diverged or that a rule stopped are among them.

    Parameters
    ----------
    outputs : path
        The folder given to ``scaling launch`` as ``outputs``.
    study, role : str, optional
        Only the runs of this study, or with this role in it ("fit", "held_out", "curve").
    n_count : str
        Which count is the column N: "n_matmul" (blocks and unembedding), "n_block", "n_total", or
        "n_active" (of "n_matmul" what one token passes through). Of a program that did not give
        this count N is the first that it gave, and the column ``n_count`` names it.
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
        which then stand for those of the configuration;
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
    ended = [*_ended_runs(Path(outputs), study, "DONE"), *_ended_runs(outputs, study, "STOPPED")]
    for folder, roles in ended:
        try:
            record = folder.record() if folder.done() else _record_so_far(folder)
        except DamagedFile as error:
            tell(error, LEFT_OUT)
            continue
        row = _columns(columns_at(folder, record.steps)) | _row(record, roles, study)
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


def load_curves(
    outputs: str | Path,
    *,
    study: str | None = None,
    role: str | None = None,
    run_ids: Iterable[str] | None = None,
    loss: str | None = None,
) -> pd.DataFrame:
    """One row for every step of every finished run, or of those with a role, or of some.

    With `loss`, a measured column such as ``loss.<store>``, that is taken as the loss.

    Returns
    -------
    DataFrame
        ``run, step, tokens, lr, train_loss, grad_norm`` at every step (the training loss before the
        update), the validation ``loss`` (nats per token), ``bpb`` and ``loss.<store>`` where they
        were measured (NaN elsewhere), and ``N, schedule, seed, cluster, fingerprint, status,
        validation_set`` of the run.
    """
    wanted_ids = None if run_ids is None else set(run_ids)
    contents: dict[str, tuple[str, str]] = {}
    pools: dict[str, dict[str, str]] = {}
    curves = []
    for manifest in manifests(outputs, study):
        curves.append(_of_role(stored_curves(manifest), stored_runs(manifest, N_COUNTS[1]), role))
        if wanted_ids is not None and len(curves[-1]):
            curves[-1] = curves[-1][curves[-1]["run"].isin(wanted_ids)]
    for folder, roles in _ended_runs(outputs, study, "DONE"):
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
        curve.rename(columns=_renaming(pools.get(curve["run"].iloc[0], {}), called))
        for curve in curves
        if len(curve)
    ]
    if not curves:
        return pd.DataFrame(columns=list(CURVE_COLUMNS))
    table = pd.concat(curves, ignore_index=True)
    if contents:
        names = set_names(outputs, [*called, *contents.values()])
        stored_sets = table[SET] if SET in table else pd.Series(None, table.index, object)
        ours = table["run"].map({run: names[content] for run, (_, content) in contents.items()})
        table = table.assign(**{SET: ours.where(ours.notna(), stored_sets)})
        table = with_pool_sets(table, {name: names[pool[1]] for pool, name in called.items()})
    return as_loss(table, loss)


def read_curve(folder: RunFolder) -> pd.DataFrame:
    """The curve of a finished run; its file calls the training loss ``loss``."""
    return read_csv_exactly(folder.curve_file()).rename(columns=TABLE_NAMES)


def study_plan(outputs: str | Path, study: str) -> PlanFile:
    """The stored plan of a study: its question, what it asks for, its runs and their roles.

    Raises
    ------
    UserError
        If there is no such study, or its plan is damaged.
    """
    folder = Path(outputs) / "studies" / study
    if (folder / "plan.json").exists():
        plan = read_plan_file(folder / "plan.json")
        loading.load_again(plan.extend, folder)
        return plan
    path = folder / MANIFEST
    if not path.exists():
        names = sorted(
            {
                p.parent.name
                for name in ("plan.json", MANIFEST)
                for p in Path(outputs).glob(f"studies/*/{name}")
            }
        )
        raise UserError(
            f"there is no study {study!r} in {outputs}; there are: {', '.join(names) or 'none'}; "
            f"scaling launch {override('study', study)} trains it"
        )
    content = read_manifest(path)
    return PlanFile(content["import_version"], read_study_config(content["study"]), {}, ())


def _of_role(curves: pd.DataFrame, runs: pd.DataFrame, role: str | None) -> pd.DataFrame:
    """The curves of the runs with a role, their clusters beside them."""
    if curves.empty:
        return curves
    if role is not None:
        runs = with_role(runs, role)
    if "cluster" in runs:
        curves = curves.assign(cluster=curves["run"].map(runs.set_index("run_id")["cluster"]))
    return curves[curves["run"].isin(runs["run_id"])]


def _ended_runs(
    outputs: str | Path, study: str | None, mark: str
) -> Iterable[tuple[RunFolder, dict[str, list[str]]]]:
    """Folders of runs that came to their end (DONE) or were not let (STOPPED), study -> roles."""
    outputs = Path(outputs)
    if not outputs.is_dir():
        raise UserError(
            f"there is no folder {outputs}; outputs= names the one that scaling launch wrote"
        )
    if study is not None:
        study_plan(outputs, study)
    roles: dict[str, dict[str, list[str]]] = defaultdict(dict)
    for name, plan in stored_plans(outputs):
        for run in plan.runs:
            roles[run.run_id][name] = list(run.roles)
    for path in sorted(outputs.glob(f"runs/*/{mark}")):
        folder = RunFolder(path.parent)
        if mark == "STOPPED" and folder.state() not in (State.STOPPED, State.DAMAGED):
            continue
        if study is None or study in roles[folder.run_id]:
            yield folder, roles[folder.run_id]


def _record_so_far(folder: RunFolder) -> Record:
    """What a record would say of a run that was stopped."""
    stop = folder.stopped()
    return stopped_record(folder.spec(), 0 if stop is None else stop.step)


def _row(record: Record, roles: dict[str, list[str]], study: str | None) -> dict[str, Any]:
    spec, final = record.spec, record.final
    here = roles if study is None else {study: roles[study]}
    return {
        **_columns(record.columns),
        "run_id": record.run_id,
        "study": ",".join(here),
        "role": ",".join(dict.fromkeys(r for names in here.values() for r in names)),
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
    """What the law ``vocabulary`` reads, of a run on documents: losses of two vocabularies agree."""
    final, shape = record.final, record.spec.shape
    if final.unigram_entropy is None:
        return {}
    loss = _number(final.validation_loss) - final.unigram_entropy
    return {"unigram_loss": loss, "N_vocab": float(shape.vocab * shape.width)}


def _renaming(
    own_pools: Mapping[str, str], called: Mapping[tuple[str, str], str]
) -> dict[str, str]:
    """Columns of a run's pools -> their names beside those of other runs."""
    return {f"{FURTHER_LOSS}{p}": f"{FURTHER_LOSS}{called[p, c]}" for p, c in own_pools.items()}


def _renamed(
    row: dict[str, Any], own_pools: Mapping[str, str], called: Mapping[tuple[str, str], str]
) -> dict[str, Any]:
    new = _renaming(own_pools, called)
    return {new.get(name, name): value for name, value in row.items()}


def _of_parts(architectures: Iterable[Network]) -> list[dict[str, float]]:
    """Columns that some networks bring; of the others what is there without."""
    brought = [a.columns() for a in architectures]
    without = {name: value for columns in brought for name, (_, value) in columns.items()}
    return [without | {name: value for name, (value, _) in columns.items()} for columns in brought]


def _further_curves(record: Record, steps: pd.Series) -> pd.DataFrame:
    """Losses on further sets, in the rows of a curve; the oldest records measured nothing."""
    names = [name for name in record.measured if name.startswith(FURTHER_LOSS)]
    columns: dict[str, Any] = {name: record.measured[name] for name in names}
    index: Any = record.measured.get("step", [])
    table = pd.DataFrame(columns, index=index).astype(float)
    return table.reindex(steps.to_numpy()).set_index(steps.index)


def _with_probes(curve: pd.DataFrame, folder: RunFolder) -> pd.DataFrame:
    """A curve with what probes found at its steps; what training measured itself stays."""
    by_step = columns_by_step(folder)
    if not by_step:
        return curve
    table = pd.DataFrame.from_dict(by_step, orient="index").astype(float)
    table = table.reindex(curve["step"].to_numpy()).set_index(curve.index)
    return curve.combine_first(table)[[*curve, *(c for c in table if c not in curve)]]


def _columns(values: Mapping[str, float | None]) -> dict[str, float]:
    return {name: _number(value) for name, value in values.items()}


def _number(value: float | None) -> float:
    return np.nan if value is None else value


def with_role(runs: pd.DataFrame, role: str) -> pd.DataFrame:
    """The runs that have a role, maybe among others."""
    return runs[np.array([role in names.split(",") for names in runs["role"]], dtype=bool)]


def require(
    table: pd.DataFrame,
    outputs: str | Path,
    study: str,
    role: str | None = None,
    *,
    measured: bool = True,
) -> pd.DataFrame:
    """A table of a study's finished runs, or of their curves, if it holds any.

    Parameters
    ----------
    table : DataFrame
        From `load` or `load_curves`.
    outputs, study
        Where the study lies.
    role : str, optional
        What the runs are for that were asked for.
    measured : bool
        Whether a run must have come to its end; else diverged and stopped ones will do.

    Raises
    ------
    UserError
        If there is none: what is missing, how far the study is, and what to do.
    """
    if len(table) and not (measured and table["status"].isin(CENSORED).all()):
        return table
    finished = "finished run" + (f" with the role {role!r}" if role else "")
    plan = study_plan(outputs, study)
    if not (Path(outputs) / "studies" / study / "plan.json").exists():
        raise UserError(f"study {study!r} was imported without a {finished}: import one that has")
    folders = [
        RunFolder(Path(outputs) / "runs" / run.run_id)
        for run in plan.runs
        if role is None or role in run.roles
    ]
    states = Counter(folder.state() for folder in folders)
    if not states:
        raise UserError(
            f"study {study!r} plans no run with the role {role!r}: scaling add"
            f" study={study} role={role} adds some"
        )
    present = ", ".join(f"{states[state]} {state}" for state in State if state in states)
    ways = dict.fromkeys(
        _WAYS_ON[state].format(study=study)
        for state in State
        if state in states and state in _WAYS_ON
    )
    raise UserError("; ".join([f"study {study!r} has no {finished}, only {present}", *ways]))
