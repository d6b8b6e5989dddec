"""From a composed study to its plan: runs are resolved, repeats merged, finished ones found.

Nothing is composed later, and nothing has been trained by the time a mistake is refused.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from scalinglab.scaling.config import ConfigError, ExecutionConfig, RunConfig, from_dict
from scalinglab.scaling.data.sources import open_store
from scalinglab.scaling.data.store import TokenStore
from scalinglab.scaling.data.validation import further_stores
from scalinglab.scaling.records.damage import DamagedFile, tell
from scalinglab.scaling.records.prefixes import candidates
from scalinglab.scaling.records.run_folder import RunFolder
from scalinglab.scaling.records.state import FINISHED, State
from scalinglab.scaling.run.memory import check_memory
from scalinglab.scaling.run.resolve import Run, resolve
from scalinglab.sweeps.plan.caveats import changed_default, other_code, rounded
from scalinglab.sweeps.plan.design import check_design
from scalinglab.sweeps.plan.plan import Plan, PlannedRun
from scalinglab.sweeps.plan.trunks import share_prefixes
from scalinglab.sweeps.store.packs import pack_kind
from scalinglab.sweeps.store.stored_plan import outputs_folder, study_folder
from scalinglab.sweeps.study.added import with_added
from scalinglab.sweeps.study.study import Wanted, read_study


def make_plan(composed: Mapping[str, Any]) -> Plan:
    """Plan the study of a composed configuration.

    Raises
    ------
    ConfigError
        On any mistake in any run; nothing has been trained by then.
    """
    outputs = outputs_folder(composed["outputs"])
    execution = from_dict(ExecutionConfig, composed["execution"], "execution")
    stores: dict[str, TokenStore] = {}
    place = _place(composed.get("launch") or {})

    def final_loss(config: RunConfig) -> float | None:
        run, _ = _resolve(Wanted("tune", "sweep", config), outputs, stores, place)
        return _final_loss(RunFolder(outputs / "runs" / run.run_id))

    study, wanted = read_study(with_added(composed), final_loss=final_loss)
    merged: dict[str, PlannedRun] = {}
    for one in wanted:
        run, store = _resolve(one, outputs, stores, place)
        known = merged.get(run.run_id)
        if known is None:
            merged[run.run_id] = PlannedRun(
                run,
                store,
                (one.block,),
                (one.role,),
                None,
                (),
                0,
                State.PLANNED,
                kind=pack_kind(run, execution),
            )
        else:
            merged[run.run_id] = replace(
                known,
                blocks=_union(known.blocks, one.block),
                roles=_union(known.roles, one.role),
            )
    runs = share_prefixes([_with_state(p, outputs) for p in merged.values()])
    warnings = [
        f"{error}; until then the run is left out"
        for p in runs
        if p.state == State.DAMAGED and (error := _damage(p, outputs)) is not None
    ]
    warnings += check_design([(p.run, p.roles) for p in runs])
    warnings += rounded(runs) + other_code(runs, outputs)
    warnings += changed_default(study_folder(outputs, study.name), runs)
    return Plan(study, outputs, execution, runs, warnings)


def _final_loss(folder: RunFolder) -> float | None:
    """The last validation loss of a finished run, infinite if it diverged."""
    if folder.state() not in FINISHED:
        return None
    try:
        record = folder.record()
    except DamagedFile as error:
        tell(error, "the search goes on without it")
        return None
    loss = record.final.validation_loss
    return math.inf if record.status == State.DIVERGED or loss is None else loss


def _place(launch: Mapping[str, Any]) -> dict[str, Any]:
    """Nodes of a run and the bytes of each, as ``check_memory`` takes them.

    Of classes of jobs the largest count. What SLURM's nodes have is known if a launch says so.
    """
    if launch.get("backend") != "slurm":
        return {}
    common = launch.get("slurm", {})
    jobs = [common, *(common | own for own in launch.get("classes", {}).values())]
    memory = [job.get("memory_gb") for job in jobs]
    return {
        "nodes": max(job.get("nodes", 1) for job in jobs),
        "memory": math.inf if None in memory else 1e9 * max(memory),
    }


def _resolve(
    one: Wanted, outputs: Path, stores: dict[str, TokenStore], place: Mapping[str, Any]
) -> tuple[Run, TokenStore]:
    key = repr((one.config.data.source, sorted(one.config.data.options.items())))
    if key not in stores:
        stores[key] = open_store(one.config.data, outputs)
    try:
        run = resolve(one.config, stores[key].manifest)
        check_memory(run.architecture, run.config, **place)
        further_stores(
            run.config.execution.validate,
            outputs,
            stores[key].manifest.vocab,
            run.config.data.validation_tokens,
            run.shape.context,
        )
        return run, stores[key]
    except ConfigError as error:
        raise ConfigError(f"study block '{one.block}': {error}") from error


def _union(names: tuple[str, ...], name: str) -> tuple[str, ...]:
    return names if name in names else (*names, name)


def _with_state(planned: PlannedRun, outputs: Path) -> PlannedRun:
    state = RunFolder(outputs / "runs" / planned.run.run_id).state()
    found = candidates(outputs, planned.run.science)
    planned = replace(planned, state=state, start=found[0][0] if found else 0)
    return replace(planned, state=State.DAMAGED) if _damage(planned, outputs) else planned


def _damage(planned: PlannedRun, outputs: Path) -> DamagedFile | None:
    """What is damaged of the files of a run, its record among them."""
    folder = RunFolder(outputs / "runs" / planned.run.run_id)
    if not folder.exists():
        return None
    error = folder.damage()
    if error is None and folder.done() is not None:
        try:
            folder.record()
        except DamagedFile as found:
            return found
    return error
