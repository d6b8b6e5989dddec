"""From a composed study to its plan: runs are resolved, repeats merged, finished ones found.

Nothing is composed later, and nothing has been trained by the time a mistake is refused.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from scalinglab.scaling.config import ExecutionConfig, RunConfig
from scalinglab.scaling.data.mixed import Store, open_data
from scalinglab.scaling.data.sources import open_store
from scalinglab.scaling.data.store import TokenStore
from scalinglab.scaling.data.validation import further_stores
from scalinglab.scaling.data_config import DataConfig
from scalinglab.scaling.errors import ConfigError
from scalinglab.scaling.read_options import from_dict
from scalinglab.scaling.records.damage import DamagedFile, tell
from scalinglab.scaling.records.record import Record
from scalinglab.scaling.records.run_folder import RunFolder
from scalinglab.scaling.records.state import State
from scalinglab.scaling.run.memory import check_memory
from scalinglab.scaling.run.resolve import Run, resolve
from scalinglab.scaling.text.flatten import flatten
from scalinglab.scaling.training.starts import starts
from scalinglab.sweeps.config import DEFAULT_CLASS, LaunchConfig, resources
from scalinglab.sweeps.plan.caveats import (
    changed_default,
    other_code,
    partly_begun,
    program_sizes,
    rates_of_adamw,
    rounded,
)
from scalinglab.sweeps.plan.design import SURFACE, LawNeeds, check_design
from scalinglab.sweeps.plan.init_from import InitialWeightsFinder, with_sources
from scalinglab.sweeps.plan.kept import with_kept
from scalinglab.sweeps.plan.plan import Plan, PlannedRun
from scalinglab.sweeps.plan.selection import to_store
from scalinglab.sweeps.plan.trunks import share_prefixes
from scalinglab.sweeps.plan.varying import varying
from scalinglab.sweeps.store.packs import pack_kind
from scalinglab.sweeps.store.stored_plan import StoredRun, outputs_folder, study_folder
from scalinglab.sweeps.study.added import with_added
from scalinglab.sweeps.study.study import RequestedRun, read_study, set_by


def make_plan(
    composed: Mapping[str, Any],
    *,
    added: bool = True,
    shared: bool = True,
    law: LawNeeds = SURFACE,
) -> Plan:
    """Plan the study of a composed configuration.

    Parameters
    ----------
    composed : mapping
    added : bool
        Whether the blocks that were added to the study of this name are part of it.
    shared : bool
        Whether runs start from what others of the plan train; without, each has all work left that
        it would have alone.
    law : LawNeeds
        What the law that is fitted to its runs needs of them.

    Raises
    ------
    ConfigError
        On any mistake in any run; nothing has been trained by then.
    """
    outputs = outputs_folder(composed["outputs"])
    execution = from_dict(ExecutionConfig, composed["execution"], "execution")
    merged: dict[str, PlannedRun] = {}

    def of_block(block: str) -> list[StoredRun]:
        return [to_store(p, outputs) for p in merged.values() if block in p.blocks]

    launch = from_dict(LaunchConfig, composed.get("launch") or {}, "launch")
    resolver = _Resolver(outputs, launch, InitialWeightsFinder(outputs, of_block))
    stored = _StoredRuns(outputs)

    def final_loss(config: RunConfig) -> float | None:
        if config.init_from.block is not None and config.init_from.study is None:
            raise ConfigError(
                f"init_from.block = {config.init_from.block!r}: a search looks at finished runs "
                "before the blocks of its study are resolved; train those in a study of their own "
                "and name it (init_from.study)"
            )
        run, _ = resolver.resolve(RequestedRun("tune", "sweep", config))
        return stored.final_loss(run.run_id)

    composed = with_added(composed) if added else composed
    study, requested = read_study(composed, final_loss=final_loss)
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
    named = _named(list(merged.values()), composed)
    runs = [stored.with_state(p) for p in named]
    runs = share_prefixes(runs) if shared else runs
    runs = with_sources(runs, outputs)
    runs = with_kept(runs, study.checkpoints)
    warnings = [f"{p.damage}; until then the run is left out" for p in runs if p.damage is not None]
    warnings += check_design([(p.run, p.roles) for p in runs], law)
    warnings += rounded(runs) + rates_of_adamw(runs) + other_code(runs)
    warnings += program_sizes(runs) + partly_begun(runs)
    warnings += changed_default(study_folder(outputs, study.name), runs)
    extend = tuple(composed.get("extend") or ())
    return Plan(study, outputs, execution, runs, warnings, extend)


class _Resolver:
    """Resolves the runs of a study; opens each store of data once.

    Parameters
    ----------
    outputs : Path
    launch : LaunchConfig
        Says on how many nodes a run is trained, and how much memory each has.
    finder : InitialWeightsFinder
    """

    def __init__(self, outputs: Path, launch: LaunchConfig, finder: InitialWeightsFinder) -> None:
        self.outputs, self.nodes, self.finder = outputs, _nodes(launch), finder
        self._stores: dict[str, TokenStore] = {}

    def resolve(self, request: RequestedRun) -> tuple[Run, Store]:
        """A run that can be trained, with its data."""
        config = request.config
        try:
            store = open_data(config.data, self.outputs, self._open)
            return _resolve(config, self.outputs, store, self.nodes, self.finder), store
        except ConfigError as error:
            raise ConfigError(f"study block '{request.block}': {error}") from error

    def _open(
        self, data: DataConfig, outputs: Path, corpus: Sequence[DataConfig] = ()
    ) -> TokenStore:
        """The store of one source."""
        made_from = [(d.source, sorted(d.options.items()), d.tokenizer) for d in (data, *corpus)]
        key = repr(made_from)
        if key not in self._stores:
            self._stores[key] = open_store(data, outputs, corpus=corpus)
        return self._stores[key]


def _resolve(
    config: RunConfig,
    outputs: Path,
    store: Store,
    nodes: Mapping[str, Any],
    finder: InitialWeightsFinder,
) -> Run:
    """Resolve a run, and check that its data and its memory are there."""
    run = resolve(config, store.manifest, finder.of)
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
    """Plan one run outside any study; returns the folder of all runs, and the run.

    Raises
    ------
    ConfigError
        On any mistake in it.
    """
    folder = outputs_folder(outputs)
    store = open_data(config.data, folder)
    run = _resolve(config, folder, store, {"nodes": nodes}, InitialWeightsFinder(folder))
    planned = _StoredRuns(folder).with_state(PlannedRun(run, store))
    return folder, with_sources([planned], folder)[0]


def _named(runs: list[PlannedRun], composed: Mapping[str, Any]) -> list[PlannedRun]:
    """The runs, each with the settings that distinguish it from the others."""
    blocks = composed["study"]["blocks"]
    set_keys = {key for name, block in blocks.items() for key in set_by(name, block, composed)}
    set_keys |= {key for block in blocks.values() for key in flatten(block.get("base") or {})}
    table_columns = [
        (p.run.counts["n_matmul"], p.run.tokens, p.run.lr, p.run.config.schedule.kind) for p in runs
    ]
    settings = [flatten(asdict(p.run.config)) for p in runs]
    return [
        replace(p, varies=varies)
        for p, varies in zip(runs, varying(settings, table_columns, set_keys), strict=True)
    ]


def _nodes(launch: LaunchConfig) -> dict[str, Any]:
    """Nodes of a run and the bytes of each, as ``check_memory`` takes them.

    The largest class of jobs counts. The memory of SLURM's nodes is known only if a launch states
    it for every class.
    """
    if launch.backend != "slurm":
        return {}
    jobs = [resources(launch, name) for name in (DEFAULT_CLASS, *launch.classes)]
    memory = [job.memory_gb for job in jobs]
    gigabytes_stated = [gigabytes for gigabytes in memory if gigabytes is not None]
    return {
        "nodes": max(job.nodes for job in jobs),
        "memory": 1e9 * max(gigabytes_stated) if len(gigabytes_stated) == len(jobs) else math.inf,
    }


class _StoredRuns:
    """States and records of runs on the disk, each read once for a plan.

    Parameters
    ----------
    outputs : Path
    """

    def __init__(self, outputs: Path) -> None:
        self.outputs = outputs
        self._read: dict[str, tuple[State, Record | None, DamagedFile | None]] = {}

    def final_loss(self, run_id: str) -> float | None:
        """The last validation loss of a finished run, infinite if it diverged."""
        _, record, damage = self._of(run_id)
        if damage is not None:
            tell(damage, "the search goes on without it")
        if record is None:
            return None
        loss = record.final.validation_loss
        return math.inf if record.status == State.DIVERGED or loss is None else loss

    def with_state(self, planned: PlannedRun) -> PlannedRun:
        """A run with its state, its record, and the step from which there is work left."""
        state, record, damage = self._of(planned.run.run_id)
        start = next(starts(self.outputs, planned.run.science), 0)
        return replace(planned, state=state, record=record, damage=damage, start=start)

    def _of(self, run_id: str) -> tuple[State, Record | None, DamagedFile | None]:
        if run_id not in self._read:
            self._read[run_id] = self._look(RunFolder(self.outputs / "runs" / run_id))
        return self._read[run_id]

    def _look(self, folder: RunFolder) -> tuple[State, Record | None, DamagedFile | None]:
        """The state of a run, its record if it is finished, and the damage to its files, if any."""
        state = folder.state()
        if not folder.exists():
            return state, None, None
        damage, record = folder.state_damage(), None
        if damage is None and folder.done() is not None:
            try:
                record = folder.record()
            except DamagedFile as error:
                damage = error
        return State.DAMAGED if damage is not None else state, record, damage


def _union(names: tuple[str, ...], name: str) -> tuple[str, ...]:
    return names if name in names else (*names, name)
