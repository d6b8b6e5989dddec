"""How many runs make a good pack: what memory holds, leaves no worker idle, and fills a device.

On a GPU a small model's step is bound by its launches, and many members cost little more than one.
On a CPU arithmetic takes the time, and a pack gains nothing. How many members a run has touches its
last digits (docs/cluster.md), so the size is a rule of the run and of where it is trained, never of
how long a few steps took on a busy machine.
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

MOST = 16  # no more was ever tried; from 4 to 16 the gain is small already
MEMORY_SHARE = 0.8  # of what there is; the estimate leaves out libraries and fragments
# FLOPs of a pack's step beyond which a pack is said to gain nothing: an estimate, no measurement of
# this project. In a feasibility study on an H200 captured steps of 2e10 FLOPs became 1.8 times as
# fast in packs of 4 and 2.2 in packs of 16, of 5e10 1.5 and 1.7, of 3e11 1.25 and 1.28, of 1.3e12
# 1.07 and 1.07.
FULL_STEP = 1e12


def place(planned: PlannedRun) -> Hashable | None:
    """Kind and start of a pack that this run can join; None: nothing to train, or not packable."""
    if planned.kind is None or not planned.new_steps:
        return None
    initial, needs = planned.run.initial, planned.needs
    # Who waits for weights starts at 0, as the run does that has yet to leave them.
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
        together = [g for g in groups(plan) if (g[0].needs is not None) == waits]
        new = sum(p.new_steps > 0 and (p.needs is not None) == waits for p in plan.runs)
        counts = [len(g) for g in together]
        if config.pack == "auto":
            sizes = [min(_filling(g[0]), _held(g[0], plan, config)) for g in together]
            sizes = spread(counts, sizes, new - sum(counts), _workers(plan, config))
            # Packs of one size, not a small last one.
            sizes = [math.ceil(n / math.ceil(n / s)) for n, s in zip(counts, sizes, strict=True)]
        else:
            sizes = [min(config.pack, n) for n in counts]
        size_by_run |= {p.run.run_id: s for g, s in zip(together, sizes, strict=True) for p in g}
    return size_by_run


def _filling(planned: PlannedRun) -> int:
    """Members whose steps together fill a GPU."""
    run = planned.run
    return int(min(MOST, max(1.0, FULL_STEP // (run.C / run.steps))))


def spread(counts: list[int], sizes: list[int], alone: int, workers: int) -> list[int]:
    """Sizes, made smaller until there is a pack for each worker.

    Parameters
    ----------
    counts, sizes : list of int
        Per group: number of runs, and largest pack.
    alone : int
        Runs that are not packable.

    >>> spread([16, 3], [16, 3], 0, 4)
    [6, 3]
    """
    sizes = [min(n, s) for n, s in zip(counts, sizes, strict=True)]

    def packs() -> list[int]:
        return [math.ceil(n / s) for n, s in zip(counts, sizes, strict=True)]

    while alone + sum(packs()) < workers and max(sizes, default=1) > 1:
        i = sizes.index(max(sizes))
        sizes[i] = min(sizes[i] - 1, math.ceil(counts[i] / (packs()[i] + 1)))
    return sizes


def _held(planned: PlannedRun, plan: Plan, config: LaunchConfig) -> int:
    """Members whose state and activations fit into the memory of a worker."""
    run = planned.run
    each = process_bytes(run.architecture, run.config)
    available = MEMORY_SHARE * _memory_bytes(plan, config)
    return int(min(MOST, max(1.0, available // each)))


def _memory_bytes(plan: Plan, config: LaunchConfig) -> float:
    """Memory of one worker; infinite where unknown:
    a pack that is too large is split when it fails.
    """
    if config.backend == "slurm":
        gigabytes = config.slurm.memory_gb if plan.execution.device == "cpu" else None
        return math.inf if gigabytes is None else 1e9 * gigabytes
    if plan.execution.device == "cpu":
        return machine.memory_bytes() / _workers(plan, config)
    return machine.gpu_memory_bytes() / config.workers_a_gpu


def _workers(plan: Plan, config: LaunchConfig) -> int:
    """Workers that must have work; on SLURM only a number that was asked for."""
    if config.backend == "local":
        return len(worker_devices(config, plan.execution))
    return (config.workers or 1) if config.backend == "slurm" else 1


def seconds_of(timing: Mapping[str, Any], what: str, members: int) -> float:
    """Seconds of a whole pack's "step", or of a "token" of validation, between measured sizes.

    A pack larger than any that was timed takes its members' time one after another.
    """
    times = {1: timing[what]} | {int(k): t[what] for k, t in timing.get("packed", {}).items()}
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
        why = (
            "it is not faster on a CPU"
            if plan.execution.device == "cpu"
            else "each run fills a GPU, or packs would leave workers idle or memory short"
        )
        sentences.append(
            f"{_runs(packable)} could train together, but {why}; launch.pack=4 forces it"
        )
    alone = Counter(unpackable_reason(p.run, plan.execution) for p in plan.runs if p.new_steps)
    sentences += [
        f"{_runs(n)} will train individually: {why}" for why, n in alone.items() if why is not None
    ]
    lonely = alone[None] - sum(map(len, groups(plan)))
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
