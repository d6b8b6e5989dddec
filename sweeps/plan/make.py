"""From a composed study to its plan: runs are resolved, repeats merged, finished ones found.

Nothing is composed later, and nothing has been trained by the time a mistake is refused.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from scalinglab.scaling.config import ConfigError, DataConfig, ExecutionConfig, RunConfig, from_dict
from scalinglab.scaling.data.mixed import Store, open_data
from scalinglab.scaling.data.sources import open_store
from scalinglab.scaling.data.store import TokenStore
from scalinglab.scaling.data.validation import further_stores
from scalinglab.scaling.records.damage import DamagedFile, tell
from scalinglab.scaling.records.run_folder import RunFolder
from scalinglab.scaling.records.state import FINISHED, State
from scalinglab.scaling.run.memory import check_memory
from scalinglab.scaling.run.resolve import Run, resolve
from scalinglab.scaling.training.starts import starts
from scalinglab.sweeps.config import DEFAULT_CLASS, LaunchConfig, resources
from scalinglab.sweeps.plan.caveats import (
    changed_default,
    other_code,
    program_sizes,
    rates_of_adamw,
    rounded,
)
from scalinglab.sweeps.plan.design import SURFACE, Fitted, check_design
from scalinglab.sweeps.plan.plan import Plan, PlannedRun
from scalinglab.sweeps.plan.trunks import share_prefixes
from scalinglab.sweeps.store.packs import pack_kind
from scalinglab.sweeps.store.stored_plan import outputs_folder, study_folder
from scalinglab.sweeps.study.added import with_added
from scalinglab.sweeps.study.study import RequestedRun, read_study


def make_plan(composed: Mapping[str, Any], *, added: bool = True, law: Fitted = SURFACE) -> Plan:
    """Plan the study of a composed configuration.

    Parameters
    ----------
    composed : mapping
    added : bool
        Whether the blocks that were added to the study of this name are part of it.
    law : Fitted
        What is fitted to its runs, which the design is checked for.

    Raises
    ------
    ConfigError
        On any mistake in any run; nothing has been trained by then.
    """
    outputs = outputs_folder(composed["outputs"])
    execution = from_dict(ExecutionConfig, composed["execution"], "execution")
    resolver = _Resolver(outputs, from_dict(LaunchConfig, composed.get("launch") or {}, "launch"))

    def final_loss(config: RunConfig) -> float | None:
        run, _ = resolver.resolve(RequestedRun("tune", "sweep", config))
        return _final_loss(RunFolder(outputs / "runs" / run.run_id))

    composed = with_added(composed) if added else composed
    study, requested = read_study(composed, final_loss=final_loss)
    merged: dict[str, PlannedRun] = {}
    for request in requested:
        run, store = resolver.resolve(request)
        planned = merged.get(run.run_id)
        if planned is None:
            planned = PlannedRun(run, store, kind=pack_kind(run, execution))
        merged[run.run_id] = replace(
            planned,
            blocks=_union(planned.blocks, request.block),
            roles=_union(planned.roles, request.role),
        )
    runs = share_prefixes([_with_state(p, outputs) for p in merged.values()])
    warnings = [
        f"{error}; until then the run is left out"
        for p in runs
        if p.state == State.DAMAGED and (error := _damage(p, outputs)) is not None
    ]
    warnings += check_design([(p.run, p.roles) for p in runs], law)
    warnings += rounded(runs) + rates_of_adamw(runs) + other_code(runs, outputs)
    warnings += program_sizes(runs, outputs)
    warnings += changed_default(study_folder(outputs, study.name), runs)
    extend = tuple(composed.get("extend") or ())
    return Plan(study, outputs, execution, runs, warnings, extend)


class _Resolver:
    """Resolves the runs of a study; each store of data is opened once.

    Parameters
    ----------
    outputs : Path
    launch : LaunchConfig
        Says on how many nodes a run is trained, and how much memory each has.
    """

    def __init__(self, outputs: Path, launch: LaunchConfig) -> None:
        self.outputs, self.nodes = outputs, _nodes(launch)
        self._stores: dict[str, TokenStore] = {}

    def resolve(self, request: RequestedRun) -> tuple[Run, Store]:
        """A run that can be trained, with its data."""
        config = request.config
        try:
            store = open_data(config.data, self.outputs, self._open)
            return _resolve(config, self.outputs, store, self.nodes), store
        except ConfigError as error:
            raise ConfigError(f"study block '{request.block}': {error}") from error

    def _open(self, data: DataConfig, outputs: Path) -> TokenStore:
        """The store of one source."""
        key = repr((data.source, sorted(data.options.items())))
        if key not in self._stores:
            self._stores[key] = open_store(data, outputs)
        return self._stores[key]


def _resolve(config: RunConfig, outputs: Path, store: Store, nodes: Mapping[str, Any]) -> Run:
    """Resolve a run, and check that its data and its memory are there."""
    run = resolve(config, store.manifest)
    check_memory(run.architecture, run.config, **nodes)
    further_stores(
        run.config.execution.validate,
        outputs,
        store.manifest.vocab,
        run.config.data.validation_tokens,
        run.shape.context,
    )
    return run


def plan_run(config: RunConfig, outputs: str, nodes: int = 1) -> tuple[Path, PlannedRun]:
    """Plan one run that is of no study: the folder of all runs, and the run.

    Raises
    ------
    ConfigError
        On any mistake in it.
    """
    folder = outputs_folder(outputs)
    store = open_data(config.data, folder)
    run = _resolve(config, folder, store, {"nodes": nodes})
    return folder, _with_state(PlannedRun(run, store), folder)


def _nodes(launch: LaunchConfig) -> dict[str, Any]:
    """Nodes of a run and the bytes of each, as ``check_memory`` takes them.

    The largest class of jobs counts. The memory of SLURM's nodes is known if a launch states it.
    """
    if launch.backend != "slurm":
        return {}
    jobs = [resources(launch, name) for name in (DEFAULT_CLASS, *launch.classes)]
    memory = [job.memory_gb for job in jobs]
    known = [gigabytes for gigabytes in memory if gigabytes is not None]
    return {
        "nodes": max(job.nodes for job in jobs),
        "memory": 1e9 * max(known) if len(known) == len(jobs) else math.inf,
    }


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


def _union(names: tuple[str, ...], name: str) -> tuple[str, ...]:
    return names if name in names else (*names, name)


def _with_state(planned: PlannedRun, outputs: Path) -> PlannedRun:
    state = RunFolder(outputs / "runs" / planned.run.run_id).state()
    start = max(starts(outputs, planned.run.science, planned.run.pieces), default=0)
    planned = replace(planned, state=state, start=start)
    return replace(planned, state=State.DAMAGED) if _damage(planned, outputs) else planned


def _damage(planned: PlannedRun, outputs: Path) -> DamagedFile | None:
    """What is damaged of the files of a run, its record among them."""
    folder = RunFolder(outputs / "runs" / planned.run.run_id)
    if not folder.exists():
        return None
    error = folder.state_damage()
    if error is None and folder.done() is not None:
        try:
            folder.record()
        except DamagedFile as found:
            return found
    return error
