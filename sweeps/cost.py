"""How long the runs of a plan take where they will run, and when the last one ends.

Each shape of the plan is timed for a few steps in a process of its own (``scaling.measure``), here
or in a job on the target; the figures are kept in ``<outputs>/measurements.json``, so a shape is
measured once a kind of machine.
"""

from __future__ import annotations

import heapq
import json
import math
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from scaling import machine
from scaling.atomic import read_json, write_json
from scaling.config import ConfigError, ExecutionConfig
from scaling.describe import is_command
from scaling.events import validation_steps
from scaling.fingerprint import code_fingerprint
from scaling.identity import digest
from scaling.resolve import Run
from sweeps.plan import Plan, PlannedRun

START_SECONDS = 4.0  # a worker imports Lightning, once


@dataclass(frozen=True)
class Target:
    """A kind of machine: its name, and how shapes are timed on it."""

    where: str
    measure: Callable[[list[dict[str, Any]]], list[dict[str, float]]]


def with_costs(plan: Plan, target: Target | None = None) -> Plan:
    """The plan with predicted seconds for the work left of each run.

    Parameters
    ----------
    plan : Plan
        Without them.
    target : Target, optional
        Where the runs will be trained; None: on a machine like this one.
    """
    timings = _timings(plan, target or Target(machine.processor(), measure_here))
    runs = [
        # A finished run has nothing left; another program's speed is not ours to measure.
        replace(p, seconds=_predict(p, timings[p.run.run_id])) if p.run.run_id in timings
        else replace(p, seconds=0.0) if p.new_steps == 0 else p
        for p in plan.runs
    ]
    return replace(plan, runs=runs)


def finish_seconds(plan: Plan, workers: int) -> float:
    """When the last run ends if `workers` take the runs in order, branches after their trunks.

    Runs of another program, whose time is not known, are left out.
    """
    free = [START_SECONDS] * workers
    heapq.heapify(free)
    ready: dict[tuple[str, int], float] = {}
    last = 0.0
    for planned in plan.runs:
        if planned.new_steps == 0 or math.isnan(planned.seconds):
            continue
        start = heapq.heappop(free)
        if planned.needs is not None:
            start = max(start, ready.get(planned.needs, 0.0))
        end = start + planned.seconds
        for pin in planned.pins:
            share = (pin - planned.start) / planned.new_steps
            ready[planned.run.run_id, pin] = start + share * planned.seconds
        heapq.heappush(free, end)
        last = max(last, end)
    return last


def _predict(planned: PlannedRun, timing: dict[str, float]) -> float:
    validations = [s for s in validation_steps(planned.run.pieces) if s > planned.start]
    tokens = len(validations) * planned.run.config.data.validation_tokens
    return planned.new_steps * timing["step"] + tokens * timing["token"]


def _request(run: Run, execution: ExecutionConfig) -> dict[str, Any]:
    return {
        "model": run.science["model"],
        "batch": math.ceil(run.config.batch / execution.processes),
        "micro_batch": execution.micro_batch,
        "engine": execution.engine,
        "device": execution.device,
        "threads": execution.threads,
    }


def _key(request: dict[str, Any], where: str) -> str:
    here = {"processor": where, "torch": machine.versions()["torch"], "code": code_fingerprint()}
    return digest(request | here)


def _timings(plan: Plan, target: Target) -> dict[str, dict[str, float]]:
    """run_id -> seconds of a step and of a token of validation."""
    path = plan.outputs / "measurements.json"
    known = read_json(path) if path.exists() else {}
    requests = {
        p.run.run_id: _request(p.run, plan.execution)
        for p in plan.runs
        if p.new_steps > 0 and not is_command(p.run.science)
    }
    keys = {run_id: _key(request, target.where) for run_id, request in requests.items()}
    missing = {keys[i]: r for i, r in requests.items() if keys[i] not in known}
    if missing:
        known |= dict(zip(missing, target.measure(list(missing.values())), strict=True))
        write_json(path, known)
    return {run_id: known[key] for run_id, key in keys.items()}


def measure_here(requests: list[dict[str, Any]]) -> list[dict[str, float]]:
    """Time some shapes in a process of its own, which may import torch.

    Raises
    ------
    ConfigError
        With its last words, if it fails.
    """
    process = subprocess.run(
        [sys.executable, "-m", "scaling.measure"],
        input=json.dumps(requests),
        capture_output=True,
        text=True,
        check=False,
        cwd=Path(__file__).parent.parent,
    )
    if process.returncode != 0:
        last = process.stderr.strip().splitlines()[-1:] or ["no message"]
        raise ConfigError(f"measuring the step time failed: {last[0]}")
    return json.loads(process.stdout)
