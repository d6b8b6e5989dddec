"""Trunks and branches: a prefix that several runs of a plan share is trained once."""

from __future__ import annotations

from dataclasses import replace

from scalinglab.scaling.schedule.pieces import shared_by_all
from scalinglab.sweeps.plan.plan import PlannedRun

# A branch waits for its trunk's checkpoint only if that saves at least this part of its steps.
WORTH_SHARING = 0.1


def share_prefixes(runs: list[PlannedRun]) -> list[PlannedRun]:
    """Let every run start from the longest prefix that an earlier, longer run trains anyway.

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
        # Checkpoints of another program cannot be shared: their content is unknown.
        can_share = planned.new_steps and not planned.run.is_command
        owner, step = _best_prefix(planned, family) if can_share else (None, 0)
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
    for candidate in earlier:
        common = shared_by_all(planned.run.all_pieces, candidate.run.all_pieces)
        if common > steps and common > candidate.start:
            best, steps = candidate, common
    return best, steps
