"""What a plan costs on this machine: seconds of each run, and when the last one ends.

Each shape of the plan is timed for a few steps in a process of its own (``scaling.measure``); the
figures are kept in ``<outputs>/measurements.json``, so a shape is measured once a machine.
"""

from __future__ import annotations

import heapq
import json
import math
import subprocess
import sys
from dataclasses import asdict, replace
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


def with_costs(plan: Plan) -> Plan:
    """The plan with predicted seconds for the work left of each run."""
    timings = _timings(plan)
    runs = [
        p if is_command(p.run.science)  # a program's speed is not ours to measure
        else replace(p, seconds=_predict(p, timings[_key(p.run, plan.execution)]))
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
    if planned.new_steps == 0:
        return 0.0
    validations = [s for s in validation_steps(planned.run.pieces) if s > planned.start]
    tokens = len(validations) * planned.run.config.data.validation_tokens
    return planned.new_steps * timing["step"] + tokens * timing["token"]


def _request(run: Run, execution: ExecutionConfig) -> dict[str, Any]:
    return {
        "shape": asdict(run.shape),
        "batch": math.ceil(run.config.batch / execution.processes),
        "micro_batch": execution.micro_batch,
        "engine": execution.engine,
        "device": execution.device,
        "threads": execution.threads,
    }


def _key(run: Run, execution: ExecutionConfig) -> str:
    here = {
        "processor": machine.processor(),
        "torch": machine.versions()["torch"],
        "code": code_fingerprint(),
    }
    return digest(_request(run, execution) | here)


def _timings(plan: Plan) -> dict[str, dict[str, float]]:
    path = plan.outputs / "measurements.json"
    known = read_json(path) if path.exists() else {}
    wanted = {
        _key(p.run, plan.execution): _request(p.run, plan.execution)
        for p in plan.runs
        if p.new_steps > 0 and not is_command(p.run.science)
    }
    missing = {key: request for key, request in wanted.items() if key not in known}
    if missing:
        known |= dict(zip(missing, _measure(list(missing.values())), strict=True))
        write_json(path, known)
    return _Default(known)


class _Default(dict[str, Any]):
    """Finished shapes are not measured; their cost is never asked for."""

    def __missing__(self, key: str) -> dict[str, float]:
        return {"step": 0.0, "token": 0.0}


def _measure(requests: list[dict[str, Any]]) -> list[dict[str, float]]:
    """Ask a process that may import torch."""
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
