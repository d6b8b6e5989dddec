"""The size of a pack: it fits in memory, fills a device, and leaves no worker idle.

On a GPU a small model's step is bound by kernel launches, and many members cost little more than
one. On a CPU arithmetic takes the time, and a pack gains nothing. The number of members changes a
run's last digits (docs/cluster.md). So the size follows from the run and from where it is trained,
never from how long a few steps took on a busy machine.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Hashable, Mapping
from typing import Any

import numpy as np

from scalinglab.scaling.records import machine
from scalinglab.scaling.run.memory import process_bytes
from scalinglab.scaling.text.flatten import flatten
from scalinglab.sweeps.config import PACKS_OFF, LaunchConfig
from scalinglab.sweeps.plan.places import worker_devices
from scalinglab.sweeps.plan.plan import Plan, PlannedRun
from scalinglab.sweeps.store.packs import unpackable_reason

MAX_MEMBERS = 16  # larger packs were never tried; the gain from 4 to 16 is small already
MEMORY_SHARE = 0.8  # of the memory; the estimate leaves out libraries and fragmentation
# FLOPs of a pack's step from which a larger pack is taken to gain nothing. An estimate; packs of
# this package have not been timed on a GPU. A prototype of captured steps, which is no part of it,
# gained on one H200 in packs of 4 and of 16: 1.8 and 2.2 times for 2e10 FLOPs, 1.5 and 1.7 for
# 5e10, 1.25 and 1.28 for 3e11, 1.07 and 1.07 for 1.3e12.
FULL_STEP = 1e12


def place(planned: PlannedRun) -> Hashable | None:
    """Key of the packs that a run can join; None if it is not packable, or has nothing to train."""
    if planned.kind is None or not planned.new_steps:
        return None
    initial, needs = planned.run.initial, planned.needs
    # A run that waits for its initial weights starts at 0, as does the run that has yet to leave
    # them: the two must not share a pack.
    for_weights = initial is not None and needs is not None and needs[0] == initial.run
    return planned.kind, planned.start, for_weights


def groups(plan: Plan) -> list[list[PlannedRun]]:
    """Groups of two or more packable runs."""
    by_place: dict[Hashable, list[PlannedRun]] = {}
    for planned in plan.runs:
        pack_place = place(planned)
        if pack_place is not None:
            by_place.setdefault(pack_place, []).append(planned)
    return [group for group in by_place.values() if len(group) > 1]


def pack_sizes(plan: Plan, config: LaunchConfig) -> dict[str, int]:
    """run_id -> members of a full pack, for runs that can share one."""
    if config.pack in PACKS_OFF or (config.pack == "auto" and plan.execution.device == "cpu"):
        return {}
    size_by_run: dict[str, int] = {}
    # Those that wait for a trunk's checkpoint occupy no worker while it is trained.
    for waits in (False, True):
        shared = [group for group in groups(plan) if (group[0].needs is not None) == waits]
        new = sum(p.new_steps > 0 and (p.needs is not None) == waits for p in plan.runs)
        counts = [len(group) for group in shared]
        if config.pack == "auto":
            sizes = [
                min(_members_to_fill(group[0]), _members_in_memory(group[0], plan, config))
                for group in shared
            ]
            sizes = spread(counts, sizes, new - sum(counts), _workers(plan, config))
            # Packs of one size, not a small last one.
            sizes = [math.ceil(n / math.ceil(n / s)) for n, s in zip(counts, sizes, strict=True)]
        else:
            sizes = [min(config.pack, n) for n in counts]
        size_by_run |= {
            p.run.run_id: s for group, s in zip(shared, sizes, strict=True) for p in group
        }
    return size_by_run


def _members_to_fill(planned: PlannedRun) -> int:
    """Members whose steps together fill a GPU."""
    run = planned.run
    return int(min(MAX_MEMBERS, max(1.0, FULL_STEP // (run.C / run.steps))))


def spread(counts: list[int], sizes: list[int], unpackable: int, workers: int) -> list[int]:
    """Sizes, made smaller until there is a pack for each worker.

    Parameters
    ----------
    counts, sizes : list of int
        Per group: number of runs, and largest pack.
    unpackable : int
        Runs that are not packable.

    >>> spread([16, 3], [16, 3], 0, 4)
    [6, 3]
    """
    sizes = [min(n, s) for n, s in zip(counts, sizes, strict=True)]

    def packs() -> list[int]:
        return [math.ceil(n / s) for n, s in zip(counts, sizes, strict=True)]

    while unpackable + sum(packs()) < workers and max(sizes, default=1) > 1:
        i = sizes.index(max(sizes))
        sizes[i] = min(sizes[i] - 1, math.ceil(counts[i] / (packs()[i] + 1)))
    return sizes


def _members_in_memory(planned: PlannedRun, plan: Plan, config: LaunchConfig) -> int:
    """Members whose state and activations fit into the memory of a worker."""
    run = planned.run
    member_bytes = process_bytes(run.architecture, run.config)
    available = MEMORY_SHARE * _memory_bytes(plan, config)
    return int(min(MAX_MEMBERS, max(1.0, available // member_bytes)))


def _memory_bytes(plan: Plan, config: LaunchConfig) -> float:
    """Memory of one worker; infinite where unknown, as a pack that is too large is split later."""
    if config.backend == "slurm":
        gigabytes = config.slurm.memory_gb if plan.execution.device == "cpu" else None
        return math.inf if gigabytes is None else 1e9 * gigabytes
    if plan.execution.device == "cpu":
        return machine.memory_bytes() / _workers(plan, config)
    return machine.gpu_memory_bytes() / config.workers_a_gpu


def _workers(plan: Plan, config: LaunchConfig) -> int:
    """Workers that must not stand idle; on SLURM those that the launch asks for, else one."""
    if config.backend == "local":
        return len(worker_devices(config, plan.execution))
    return (config.workers or 1) if config.backend == "slurm" else 1


def seconds_of(timing: Mapping[str, Any], quantity: str, members: int) -> float:
    """Seconds of a whole pack's "step", or of a "token" of validation, between measured sizes.

    A pack larger than any that was timed takes its members' time one after another.
    """
    times = {1: timing[quantity]} | {
        int(k): t[quantity] for k, t in timing.get("packed", {}).items()
    }
    largest = max(times)
    if members > largest:
        return float(times[largest] * members / largest)
    timed_members = sorted(times)
    return float(np.interp(members, timed_members, [times[k] for k in timed_members]))


def about_packs(plan: Plan, config: LaunchConfig) -> list[str]:
    """Sentences: which runs share packs, how many packs there are, and which runs do not."""
    if config.pack in PACKS_OFF:
        return []
    sentences, packable = [], 0
    for group in groups(plan):
        first, n = group[0], len(group)
        if first.pack == 1:
            packable += n
            continue
        sentences.append(
            f"packs: {n} runs of width {first.run.shape.width}, depth {first.run.shape.depth}, "
            f"{first.run.steps:,} steps from step {first.start:,} in "
            f"{math.ceil(n / first.pack)} of up to {first.pack}; they differ in {_differ(group)}"
        )
        if sum(p.seconds for p in group) > sum(p.seconds_alone for p in group):
            sentences[-1] += "; measured here, that is slower than each alone (launch.pack=off)"
    if packable:
        reason = (
            "it is not faster on a CPU"
            if plan.execution.device == "cpu"
            else "each run fills a GPU, or packs would leave workers idle or memory short"
        )
        sentences.append(
            f"{_runs(packable)} could train together, but {reason}; launch.pack=4 forces it"
        )
    reasons = Counter(unpackable_reason(p.run, plan.execution) for p in plan.runs if p.new_steps)
    sentences += [
        f"{_runs(n)} will train individually: {reason}"
        for reason, n in reasons.items()
        if reason is not None
    ]
    lonely = reasons[None] - sum(map(len, groups(plan)))
    if lonely and sentences:
        sentences.append(
            f"{_runs(lonely)} will train individually: no other has the same shape, batch, "
            "data, length and start"
        )
    return sentences


def _runs(count: int) -> str:
    return "1 run" if count == 1 else f"{count} runs"


def _differ(group: list[PlannedRun]) -> str:
    """Names of the settings in which members differ."""
    science = [flatten(p.run.science) for p in group]
    values: dict[str, set[Any]] = {
        "LR": {p.run.lr for p in group},
        "schedule": {repr(p.run.config.schedule) for p in group},
        "seed": {p.run.config.seed for p in group},
        "data seed": {s["data.seed"] for s in science},
    }
    for key, value in science[0].items():
        if key.startswith("optimizer.") and isinstance(value, float):
            values[key.removeprefix("optimizer.")] = {s[key] for s in science}
    return ", ".join(name for name, distinct in values.items() if len(distinct) > 1)
