"""Store a plan: a run.json for each run, and the plan.json that workers and the analysis read."""

from __future__ import annotations

import math
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict

from scalinglab.scaling.extensions.loading import keep_copies
from scalinglab.scaling.records.plan_file import PlanEntry, PlanFile, plan_before, write_plan_file
from scalinglab.scaling.records.state import State
from scalinglab.scaling.run.describe import describe
from scalinglab.sweeps.plan.plan import Plan, PlannedRun
from scalinglab.sweeps.store.stored_plan import PLAN_VERSION

WRITERS = 32


def save_plan(plan: Plan) -> None:
    """Store the descriptions of all runs, then the plan."""
    described = [describe(p.run, p.store) for p in plan.runs]
    # In threads, as each run.json is flushed to disk and the time goes into waiting for that.
    with ThreadPoolExecutor(WRITERS) as writers:
        list(writers.map(lambda p, run: plan.run_folder(p).describe(run), plan.runs, described))
    keep_copies(plan.extend, plan.folder)
    before = _predicted_before(plan)
    write_plan_file(
        plan.folder / "plan.json",
        PlanFile(
            PLAN_VERSION,
            plan.study,
            asdict(plan.execution),
            tuple(_entry(p, before) for p in plan.runs),
            tuple(plan.warnings),
            plan.extend,
        ),
    )


def _entry(planned: PlannedRun, before: dict[str, float | None]) -> PlanEntry:
    """A run as it is stored; `before` are the seconds that an earlier plan predicted."""
    run_id, seconds = planned.run.run_id, _number(planned.seconds)
    # A record is measured against the time of the whole run, also after a resume.
    seconds_whole = seconds if planned.state == State.PLANNED else before.get(run_id, seconds)
    return PlanEntry(
        run_id=run_id,
        roles=planned.roles,
        blocks=planned.blocks,
        needs=planned.needs,
        pins=planned.pins,
        seconds=seconds if planned.is_unfinished else before.get(run_id),
        seconds_whole=seconds_whole,
        kind=planned.kind,
        pack=planned.pack,
        start=planned.start,
        kept=planned.kept,
        varies=planned.varies,
        given={name: asdict(value) for name, value in planned.run.given.items()},
    )


def _predicted_before(plan: Plan) -> dict[str, float | None]:
    """run_id -> seconds that an earlier plan of the study predicted for the whole run."""
    before = plan_before(plan.folder / "plan.json")
    return {} if before is None else {r.run_id: r.seconds_whole for r in before.runs}


def _number(value: float) -> float | None:
    return None if math.isnan(value) else value
