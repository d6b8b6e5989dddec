"""A plan is stored: a run.json for each run, and the plan.json that workers and the analysis read."""

from __future__ import annotations

import math
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict

from scalinglab.scaling.records.atomic import write_json
from scalinglab.scaling.records.plan_file import plan_before
from scalinglab.scaling.records.state import State
from scalinglab.scaling.run.describe import describe
from scalinglab.sweeps.plan.plan import Plan
from scalinglab.sweeps.store.stored_plan import PLAN_VERSION

WRITERS = 32


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
