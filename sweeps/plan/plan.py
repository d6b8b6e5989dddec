"""Which runs a study needs, what they share and what they cost, before anything is spent.

``make_plan`` resolves every wanted run, drops repeats, finds what is done already, lets runs with
a common prefix train it once; ``save_plan`` stores the plain result. Nothing is composed later.
"""

from __future__ import annotations

import math
import os
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from scalinglab.scaling.config import ConfigError, ExecutionConfig, RunConfig, from_dict
from scalinglab.scaling.data.sources import open_store
from scalinglab.scaling.data.store import TokenStore
from scalinglab.scaling.data.validation import further_stores
from scalinglab.scaling.records.atomic import write_json
from scalinglab.scaling.records.damage import DamagedFile, tell
from scalinglab.scaling.records.plan_file import StudyConfig, plan_before
from scalinglab.scaling.records.prefixes import candidates
from scalinglab.scaling.records.run_folder import RunFolder
from scalinglab.scaling.records.state import ENDED, FINISHED, State
from scalinglab.scaling.run.describe import describe
from scalinglab.scaling.run.memory import check_memory
from scalinglab.scaling.run.resolve import Run, resolve
from scalinglab.scaling.schedule.pieces import shared_steps
from scalinglab.scaling.text.shell import has_control_characters
from scalinglab.sweeps.plan.design import check_design
from scalinglab.sweeps.store.caveats import changed_default, other_code, rounded
from scalinglab.sweeps.store.packs import pack_kind
from scalinglab.sweeps.study.added import with_added
from scalinglab.sweeps.study.study import Wanted, read_study

# A branch waits for its trunk's checkpoint only if that saves at least this part of its steps.
WORTH_SHARING = 0.1
WRITERS = 32
PLAN_VERSION = 1


@dataclass(frozen=True)
class PlannedRun:
    """A run of a plan.

    Attributes
    ----------
    run : Run
        Resolved.
    store : TokenStore
        The data it is trained on.
    blocks, roles : tuple of str
        The study's blocks that asked for it, and what for.
    needs : tuple or None
        (run_id, step): the checkpoint of another run of the plan from which it starts.
    pins : tuple of int
        Steps whose checkpoints other runs of the plan start from.
    start : int
        Step from which there is work left: of a checkpoint on disk, or of `needs`.
    state : State
        Its state when the plan was made.
    seconds : float
        Predicted time of the work left, of a member its share of the pack's; NaN before
        ``scalinglab.sweeps.plan.cost`` has measured.
    kind : str or None
        What it has in common with those that may train with it (``scalinglab.sweeps.store.packs``).
    pack : int
        Members of a pack of its kind, as ``scalinglab.sweeps.plan.cost`` finds best.
    seconds_alone : float
        As `seconds`, without company.
    estimated : bool
        Whether both are, because a step took too long to be timed.
    """

    run: Run
    store: TokenStore
    blocks: tuple[str, ...]
    roles: tuple[str, ...]
    needs: tuple[str, int] | None
    pins: tuple[int, ...]
    start: int
    state: State
    seconds: float = float("nan")
    kind: str | None = None
    pack: int = 1
    seconds_alone: float = float("nan")
    estimated: bool = False

    @property
    def is_unfinished(self) -> bool:
        """Whether its record is still to be written, also if no step is left to be trained.

        A process may have been killed, or the run's folder removed, after the last checkpoint;
        and a longer run may have passed its last step on the way.
        """
        return self.state not in ENDED

    @property
    def new_steps(self) -> int:
        """Steps that have to be trained for it."""
        return self.run.steps - self.start if self.is_unfinished else 0


@dataclass(frozen=True)
class Plan:
    """A study's runs in the order in which they are best started, and the checks of its design."""

    study: StudyConfig
    outputs: Path
    execution: ExecutionConfig
    runs: list[PlannedRun]
    warnings: list[str] = field(default_factory=list)

    @property
    def folder(self) -> Path:
        """Where the study's own files lie."""
        return study_folder(self.outputs, self.study.name)

    def run_folder(self, planned: PlannedRun) -> RunFolder:
        """The folder of one of the runs."""
        return RunFolder(self.outputs / "runs" / planned.run.run_id)


def outputs_folder(given: str) -> Path:
    """The folder of all runs.

    Raises
    ------
    ConfigError
        If its name would break lists of folders and scripts.
    """
    outputs = Path(given).absolute()
    if os.pathsep in str(outputs) or has_control_characters(str(outputs)):
        raise ConfigError(
            f"outputs = {str(outputs)!r} has a {os.pathsep!r} or a line break, at which the search"
            " path of workers and the script of a job would be cut; choose another folder"
        )
    return outputs


def study_folder(outputs: Path, name: str) -> Path:
    """Where the files of a study lie."""
    return outputs / "studies" / name


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


def share_prefixes(runs: list[PlannedRun]) -> list[PlannedRun]:
    """Let every run start from the longest stretch that an earlier, longer run trains anyway.

    Returns
    -------
    list of PlannedRun
        Longest first, so that trunks come before their branches.
    """
    ordered = sorted(runs, key=lambda p: (-p.run.C, -p.run.steps, p.run.run_id))
    pins: dict[str, set[int]] = {p.run.run_id: set() for p in ordered}
    shared: list[PlannedRun] = []
    unfinished: dict[str, list[PlannedRun]] = {}  # by family: others share nothing
    for planned in ordered:
        family = unfinished.setdefault(planned.run.family_id, [])
        # What the checkpoints of somebody else's program hold is not ours to know.
        may = planned.new_steps and not planned.run.is_command
        owner, step = _best_prefix(planned, family) if may else (None, 0)
        if owner is not None and step - planned.start >= WORTH_SHARING * planned.run.steps:
            pins[owner.run.run_id].add(step)
            planned = replace(planned, needs=(owner.run.run_id, step), start=step)
        shared.append(planned)
        if planned.new_steps:
            family.append(planned)
    return [replace(p, pins=tuple(sorted(pins[p.run.run_id]))) for p in shared]


def _best_prefix(planned: PlannedRun, earlier: list[PlannedRun]) -> tuple[PlannedRun | None, int]:
    """The earlier run of its family that shares the most steps, and how many."""
    best, steps = None, 0
    for other in earlier:
        common = shared_steps(planned.run.pieces, other.run.pieces)
        if common > steps and common > other.start:
            best, steps = other, common
    return best, steps


def save_plan(plan: Plan) -> None:
    """Store the plan: what workers read, and what the analysis reads roles from."""
    described = [describe(p.run, p.store) for p in plan.runs]
    # Each run.json is flushed to disk by itself; what takes the time is waiting for that.
    with ThreadPoolExecutor(WRITERS) as writers:
        list(writers.map(lambda p, run: plan.run_folder(p).describe(run), plan.runs, described))
    before = _predicted_before(plan)
    write_json(
        plan.folder / "plan.json",
        {
            "plan_version": PLAN_VERSION,
            "study": asdict(plan.study),
            "execution": asdict(plan.execution),
            "warnings": plan.warnings,
            "runs": [
                {
                    "run_id": p.run.run_id,
                    "roles": list(p.roles),
                    "blocks": list(p.blocks),
                    "needs": list(p.needs) if p.needs else None,
                    "given": {name: asdict(given) for name, given in p.run.given.items()},
                    "pins": list(p.pins),
                    "start": p.start,
                    "kind": p.kind,
                    "pack": p.pack,
                    "seconds": _number(p.seconds) if p.is_unfinished else before.get(p.run.run_id),
                    # Of the whole run: what its record is measured against, also after a resume.
                    "seconds_whole": _number(p.seconds)
                    if p.state == State.PLANNED
                    else before.get(p.run.run_id, _number(p.seconds)),
                }
                for p in plan.runs
            ],
        },
    )


def _predicted_before(plan: Plan) -> dict[str, float | None]:
    """What an earlier plan of the study predicted: kept for what has begun by now."""
    before = plan_before(plan.folder / "plan.json")
    return {} if before is None else {r.run_id: r.seconds_whole for r in before.runs}


def _number(value: float) -> float | None:
    return None if math.isnan(value) else value
