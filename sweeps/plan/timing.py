"""Predicted seconds of a plan's runs on the machine where they will run.

Each shape of the plan is timed for a few steps in a process of its own
(``scalinglab.scaling.engine.trainer.measure``), here or in a job on the target; the figures are
kept in ``<outputs>/measurements.json``, so a shape is measured once per kind of machine. For a run
on several processes one process's part of a batch is timed; communication is not predicted.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from scalinglab.scaling.config import ExecutionConfig
from scalinglab.scaling.extensions.used import used_by
from scalinglab.scaling.records import machine
from scalinglab.scaling.records.atomic import read_json, write_json
from scalinglab.scaling.records.damage import DamagedFile, Shape, check_shape, set_aside
from scalinglab.scaling.records.fingerprint import code_fingerprint
from scalinglab.scaling.records.identity import digest
from scalinglab.scaling.run.engine_choice import choose_engine
from scalinglab.scaling.run.resolve import Run
from scalinglab.scaling.run.step_options import StepOptions
from scalinglab.scaling.training.events import validation_steps
from scalinglab.sweeps.config import LaunchBudget, LaunchConfig
from scalinglab.sweeps.plan.local_timing import SHAPE_SECONDS, CannotMeasure, measure_here
from scalinglab.sweeps.plan.order import packs
from scalinglab.sweeps.plan.pack_sizes import pack_sizes, seconds_of
from scalinglab.sweeps.plan.plan import Plan, PlannedRun
from scalinglab.sweeps.plan.program_times import with_program_times

_TIMING: Shape = {"step": (int, float), "token": (int, float), "packed": dict}


@dataclass(frozen=True)
class Target:
    """A kind of machine, and how shapes are timed on it.

    Attributes
    ----------
    where : str
        Its name.
    measure : callable
        Times shapes; may raise `CannotMeasure`.
    required : bool
        Whether a plan without times is refused; otherwise it warns that it has none.
    caveat : str
        A warning that goes with the times, as where runs are trained elsewhere.
    """

    where: str
    measure: Callable[[list[dict[str, Any]]], list[dict[str, Any]]]
    required: bool = True
    caveat: str = ""


def here(*, trained_elsewhere: bool = False) -> Target:
    """A machine like this one; `trained_elsewhere` says that runs are not trained on it."""

    def measure(requests: list[dict[str, Any]]) -> list[dict[str, Any]]:
        try:
            return measure_here(requests)
        except CannotMeasure as error:
            raise CannotMeasure(
                f"{error} (launch.measure=target measures in a job on the cluster "
                "with launch=slurm, launch.measure=off goes without)"
            ) from error

    caveat = (
        (
            f"step times were measured on this machine ({machine.processor()}), not on the "
            "cluster's nodes, which may be much faster or slower: launch.measure=target measures "
            "them in a short job there"
        )
        if trained_elsewhere
        else ""
    )
    return Target(machine.processor(), measure, caveat=caveat)


def nowhere() -> Target:
    """No machine: nothing is timed (``launch.measure = off``)."""

    def refuse(requests: list[dict[str, Any]]) -> list[dict[str, Any]]:
        raise CannotMeasure("launch.measure = off")

    return Target("nowhere", refuse, required=False)


def with_seconds(
    plan: Plan, target: Target | None = None, config: LaunchConfig | None = None
) -> Plan:
    """The plan with the sizes of its packs and predicted seconds for the work left of each run.

    Parameters
    ----------
    plan : Plan
        A plan whose seconds are not predicted yet.
    target : Target, optional
        Where the runs will be trained; None: on a machine like this one. If it cannot time them and
        `required` is false, seconds stay NaN, and a warning says why.
    config : LaunchConfig, optional
        Packs and workers; None: no packs.
    """
    config = config or LaunchConfig(pack="off")
    sizes = pack_sizes(plan, config)
    plan = replace(plan, runs=[replace(p, pack=sizes.get(p.run.run_id, 1)) for p in plan.runs])
    target = target or here()
    timings, reason = _timings(plan, target)
    if timings and target.caveat:
        plan = replace(plan, warnings=[*plan.warnings, target.caveat])
    if reason:
        plan = replace(
            plan,
            warnings=[
                *plan.warnings,
                f"the time of a step is not known ({reason}): "
                "no seconds, and no device-hours for launch.budget",
            ],
        )
    members = {p.run.run_id: len(pack) for pack in packs(plan) for p in pack}
    runs = [_timed(p, timings.get(p.run.run_id), members.get(p.run.run_id, 1)) for p in plan.runs]
    plan = with_program_times(replace(plan, runs=runs))
    return replace(plan, warnings=[*plan.warnings, *_about_budget(plan, config.budget)])


def _timed(planned: PlannedRun, timing: dict[str, Any] | None, members: int) -> PlannedRun:
    """A run with its seconds; those of another program stay NaN, as it cannot be timed here."""
    if timing is not None:
        return replace(
            planned,
            seconds=_predict(planned, timing, members),
            seconds_alone=_predict(planned, timing, 1),
            estimated=timing.get("estimated", False),
        )
    is_finished = planned.new_steps == 0
    return replace(planned, seconds=0.0, seconds_alone=0.0) if is_finished else planned


def _about_budget(plan: Plan, budget: LaunchBudget) -> list[str]:
    """A sentence if a budget of device-hours cannot count runs of unknown time."""
    unknown = [p.run.run_id for p in plan.runs if p.is_unfinished and math.isnan(p.seconds)]
    if budget.device_hours is None or not unknown:
        return []
    names = ", ".join(unknown[:5]) + " ..." * (len(unknown) > 5)
    return [
        f"launch.budget.device_hours = {budget.device_hours:g} cannot refuse what is not "
        f"known: the time of {len(unknown)} runs ({names}); once so much is spent, no further "
        "run is begun"
    ]


def about_estimates(plan: Plan) -> list[str]:
    """A sentence if some predicted times are estimates."""
    count = sum(p.estimated for p in plan.runs if p.new_steps)
    if not count:
        return []
    return [
        f"times of {count} runs are estimated: to time a step of theirs takes more than "
        f"{SHAPE_SECONDS:.0f} s"
    ]


def about_processes(plan: Plan) -> list[str]:
    """A sentence if the predicted times leave out communication."""
    processes = plan.execution.processes
    if processes == 1 or not any(p.seconds > 0 for p in plan.runs):
        return []
    return [
        f"times are those of one process's part of each batch: what execution.processes = "
        f"{processes} send to each other comes on top and is not predicted"
    ]


def _predict(planned: PlannedRun, timing: dict[str, Any], members: int) -> float:
    """A member's share of its pack's time."""
    run = planned.run
    validations = [
        s for s in validation_steps(run.pieces, run.mixture.values()) if s > planned.start
    ]
    sets = max(1, len(run.mixture)) + len(run.config.execution.validate)
    tokens = len(validations) * sets * run.config.data.validation_tokens
    steps = planned.new_steps * seconds_of(timing, "step", members)
    return (steps + tokens * seconds_of(timing, "token", members)) / members


def _request(run: Run, execution: ExecutionConfig) -> dict[str, Any]:
    options = asdict(StepOptions.of(run.config, execution))
    del options["excluded"]  # the choice of targets does not change the time
    extensions = used_by(run.science)
    return {
        **({"extensions": extensions} if extensions else {}),
        "model": run.architecture.science(),
        # The optimizer's numbers do not change the time; whether there is a z-loss does.
        "optimizer": run.config.optimizer.name,
        "options": options | {"z_loss": float(options["z_loss"] > 0)},
        "batch": math.ceil(run.batch / execution.processes),
        "micro_batch": execution.micro_batch,
        "engine": choose_engine(execution, run.C, run.architecture),
        "device": execution.device,
        "threads": execution.threads,
    }


def _key(request: dict[str, Any], where: str) -> str:
    environment = {
        "processor": where,
        "torch": machine.versions()["torch"],
        "code": code_fingerprint(),
    }
    return digest(request | environment)


def _timings(plan: Plan, target: Target) -> tuple[dict[str, dict[str, Any]], str]:
    """run_id -> measured times of its shape, alone and in its pack; and why some are missing.

    The times are those of ``scalinglab.scaling.engine.trainer.measure``; the reason is empty if
    none are missing.
    """
    path = plan.outputs / "measurements.json"
    timings = _known_timings(path)
    timed = [p for p in plan.runs if p.new_steps > 0 and not p.run.is_command]
    requests = {p.run.run_id: _request(p.run, plan.execution) for p in timed}
    sizes: dict[str, set[int]] = defaultdict(set)  # each shape is timed once, in all of them
    for planned in timed:
        sizes[digest(requests[planned.run.run_id])].update({planned.pack} - {1})
    requests = {i: r | {"packs": sorted(sizes[digest(r)])} for i, r in requests.items()}
    keys = {run_id: _key(request, target.where) for run_id, request in requests.items()}
    missing = {keys[i]: r for i, r in requests.items() if keys[i] not in timings}
    reason = ""
    if missing:
        try:
            timings |= dict(zip(missing, target.measure(list(missing.values())), strict=True))
            write_json(path, timings)
        except CannotMeasure as error:
            if target.required:
                raise
            reason = str(error)
    return {run_id: timings[key] for run_id, key in keys.items() if key in timings}, reason


def _known_timings(path: Path) -> dict[str, dict[str, Any]]:
    """Earlier measurements; an unreadable file is set aside, and everything is measured again."""
    try:
        timings: dict[str, dict[str, Any]] = read_json(path, {})
        for key in timings:
            check_shape(path, timings, {key: _TIMING})
    except FileNotFoundError:
        return {}
    except DamagedFile as error:
        set_aside(error, "step times are measured again")
        return {}
    return timings
