"""The steps that each run of a plan keeps for probes, also where another run trains them."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from scalinglab.sweeps.plan.plan import PlannedRun
from scalinglab.sweeps.study.checkpoints import kept_steps


def with_kept(runs: list[PlannedRun], rule: Any) -> list[PlannedRun]:
    """The runs of a plan with the steps that each keeps: its own, and those of its branches.

    The trunk keeps steps for its branches, as these do not train the stretch that they share.
    """
    steps_of = {
        p.run.run_id: set() if p.run.is_command else set(kept_steps(rule, p.run.steps))
        for p in runs
    }
    by_id = {p.run.run_id: p for p in runs}
    for planned in reversed(runs):  # branches come behind their trunks
        if planned.needs is None or planned.needs[0] not in by_id:
            continue
        trunk, step = by_id[planned.needs[0]], planned.needs[1]
        if trunk.run.family_id == planned.run.family_id:  # else it takes only initial weights
            steps_of[trunk.run.run_id] |= {s for s in steps_of[planned.run.run_id] if s < step}
    return [replace(p, kept=tuple(sorted(steps_of[p.run.run_id]))) for p in runs]
