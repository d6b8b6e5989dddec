"""Predicted times of the runs of another program, from its finished runs.

A few steps of a program cannot be timed. Its finished runs below the same outputs say how long a
step took; the one with the nearest FLOPs per step counts, scaled by the ratio of the FLOPs.
"""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import median

from scalinglab.scaling.errors import ConfigError
from scalinglab.scaling.model.flops import flops_per_token
from scalinglab.scaling.records.damage import DamagedFile
from scalinglab.scaling.records.run_folder import RunFolder
from scalinglab.sweeps.plan.plan import Plan, PlannedRun

MOST_RECORDS = 300  # the latest are read: a plan must not wait for all of a large folder


@dataclass(frozen=True)
class _Finished:
    """A finished run: FLOPs and seconds of a step, and on which processor."""

    flops: float
    seconds: float
    processor: str | None


def with_program_times(plan: Plan) -> Plan:
    """The plan with predicted seconds for the runs of programs, and sentences about them."""
    unfinished = [p for p in plan.runs if p.new_steps and p.run.is_command]
    if not unfinished:
        return plan
    trained = _finished(plan, {_program(p) for p in unfinished})
    seconds = {
        p.run.run_id: _predict(p, trained[_program(p)]) for p in unfinished if trained[_program(p)]
    }
    runs = [
        replace(p, seconds=seconds[p.run.run_id], seconds_alone=seconds[p.run.run_id])
        if p.run.run_id in seconds
        else p
        for p in plan.runs
    ]
    sentences = []
    for program, count in Counter(map(_program, unfinished)).items():
        if finished := trained[program]:
            places = ", ".join(dict.fromkeys(str(run.processor) for run in finished))
            sentences.append(
                f"times of {count} runs of the program {program!r} are predicted from "
                f"those that have finished ({len(finished)}, on {places}), by FLOPs a step"
            )
        else:
            sentences.append(
                f"how long {count} runs of the program {program!r} take is not known: none "
                f"has finished in {plan.outputs} with execution.device = "
                f"{plan.execution.device}, execution.processes = "
                f"{plan.execution.processes}; train one of them first (launch.runs=ID)"
            )
    return replace(plan, runs=runs, warnings=[*plan.warnings, *sentences])


def _program(planned: PlannedRun) -> str:
    return planned.run.config.trainer.program or ""


def _finished(plan: Plan, programs: set[str]) -> dict[str, list[_Finished]]:
    """Program -> its latest finished runs that were executed as the plan's will be."""
    by_program: dict[str, list[_Finished]] = {program: [] for program in programs}
    ended = [(path.stat().st_mtime, path.parent) for path in plan.outputs.glob("runs/*/DONE")]
    for _, folder in sorted(ended, reverse=True)[:MOST_RECORDS]:
        program_run = _read(folder, plan, programs)
        if program_run is not None:
            by_program[program_run[0]].append(program_run[1])
    return by_program


def _read(folder: Path, plan: Plan, programs: set[str]) -> tuple[str, _Finished] | None:
    try:
        record = RunFolder(folder).record()
        planned_flops = RunFolder(folder).spec().flops
    except (DamagedFile, FileNotFoundError, ConfigError):  # a plan that holds the run names it
        return None
    run, place = record.spec, record.machine
    program = run.trainer.program
    as_here = (place.device, place.processes) == (
        plan.execution.device,
        plan.execution.processes,
    )
    seconds, steps = record.throughput.seconds, record.steps  # as the program says
    is_timed = math.isfinite(seconds) and seconds > 0 and steps > 0
    if not (run.is_command and program in programs and as_here and is_timed):
        return None
    # As the plan counts them, whatever the program says that it trained.
    flops = run.tokens_per_step * flops_per_token(planned_flops)
    return program, _Finished(flops, seconds / steps, place.processor)


def _predict(planned: PlannedRun, finished: list[_Finished]) -> float:
    """Seconds of the work left: the median over the finished runs that are equally near."""
    flops = planned.run.C / planned.run.steps
    distance = {run: abs(math.log(run.flops / flops)) for run in finished}
    nearest = [run for run in finished if distance[run] <= min(distance.values()) + 1e-9]
    return planned.new_steps * median(run.seconds * flops / run.flops for run in nearest)
