"""The order in which the packs of a plan start, and when the last one ends."""

from __future__ import annotations

import heapq
import math

from scalinglab.sweeps.plan.pack_sizes import place
from scalinglab.sweeps.plan.plan import Plan, PlannedRun
from scalinglab.sweeps.store.packs import form_packs

START_SECONDS = 4.0  # a worker imports Lightning, once


def packs(plan: Plan) -> list[list[PlannedRun]]:
    """The packs of unfinished runs, in the order in which they should start."""
    left = [p for p in plan.runs if p.is_unfinished]
    return form_packs(left, place, lambda p: p.pack)


def finish_seconds(plan: Plan, workers: int) -> float:
    """When the last run ends if `workers` take the packs in order, branches after their trunks.

    Runs of unknown time, such as those of another program, are left out.
    """
    free = [START_SECONDS] * workers
    heapq.heapify(free)
    ready: dict[tuple[str, int], float] = {}
    last = 0.0
    for pack in packs(plan):
        if math.isnan(pack[0].seconds):
            continue
        needed = [ready.get(p.needs, 0.0) for p in pack if p.needs is not None]
        start = max([heapq.heappop(free), *needed])
        seconds_of_pack = sum(p.seconds for p in pack)
        end = start + seconds_of_pack
        for planned in pack:
            for pin in planned.pins:
                # A checkpoint at its start, or before, is there as soon as the run may begin.
                share = max(0, pin - planned.start) / max(1, planned.new_steps)
                ready[planned.run.run_id, pin] = start + share * seconds_of_pack
        heapq.heappush(free, end)
        last = max(last, end)
    return last
