"""What a plan comes to: steps, time, device-hours, memory, disk, money."""

from __future__ import annotations

import math
from dataclasses import dataclass

import pandas as pd

from scalinglab.prepare import Prepared
from scalinglab.show import counts, duration
from scalinglab.sweeps.plan.cost import cost
from scalinglab.sweeps.plan.order import finish_seconds, packs
from scalinglab.sweeps.plan.places import worker_count


@dataclass(frozen=True)
class Totals:
    """What a plan comes to; a number that is not known is NaN.

    Attributes
    ----------
    states : dict
        State -> runs.
    new_steps, shared_steps : int
        That have to be trained; that other runs train, or that are done.
    unrecorded : int
        Runs that have their last checkpoint and lack only their record.
    flops : float
        Of the new steps.
    seconds, seconds_alone : float
        Of training, predicted; without packs.
    finish_seconds : float
        Until the last run ends, on `workers`.
    untimed : int
        Unfinished runs whose time is not known.
    longest_hours, new_hours, spent_hours : float
        Device-hours: of the longest run or pack, to go, spent.
    money : float or None
        For the hours to go, at ``launch.rate``.
    memory_gb, new_disk_gb : float
        Of a process at its peak; of checkpoints.
    """

    states: dict[str, int]
    new_steps: int
    shared_steps: int
    unrecorded: int
    flops: float
    seconds: float
    seconds_alone: float
    finish_seconds: float
    workers: int
    untimed: int
    longest_hours: float
    new_hours: float
    spent_hours: float
    money: float | None
    memory_gb: float
    new_disk_gb: float


def totals_of(prepared: Prepared) -> Totals:
    """Add up a plan."""
    plan, config = prepared.plan, prepared.config
    workers = worker_count(config, plan.execution, len(packs(plan)))
    left = [p for p in plan.runs if p.is_unfinished]
    seconds = [p.seconds for p in left]
    timed = [s for s in seconds if not math.isnan(s)]
    costs = cost(plan)
    new = sum(p.new_steps for p in plan.runs)
    states = pd.Series([p.state for p in plan.runs]).value_counts()
    return Totals(
        states={str(k): int(v) for k, v in states.items()},
        new_steps=new,
        shared_steps=sum(p.run.steps for p in plan.runs) - new,
        unrecorded=sum(not p.new_steps and p.needs is None for p in left),
        flops=sum(p.run.C * p.new_steps / p.run.steps for p in plan.runs),
        seconds=sum(timed) if timed else math.nan,
        seconds_alone=sum(p.seconds_alone for p in plan.runs if p.seconds_alone > 0),
        finish_seconds=finish_seconds(plan, workers) if left else 0.0,
        workers=workers,
        untimed=len(seconds) - len(timed),
        longest_hours=costs.longest_hours,
        new_hours=costs.new_hours,
        spent_hours=costs.spent_hours,
        money=None if config.rate is None else config.rate * costs.new_hours,
        memory_gb=costs.memory_gb,
        new_disk_gb=costs.new_disk_gb,
    )


def totals_text(totals: Totals, prepared: Prepared) -> str:
    """What a plan comes to, in a few sentences."""
    plan, rate = prepared.plan, prepared.config.rate
    runs = f"{len(plan.runs)} runs ({counts(pd.Series([p.state for p in plan.runs]))})"
    if not any(p.is_unfinished for p in plan.runs):
        return f"{runs}: nothing is left to train."
    packed = any(p.pack > 1 for p in plan.runs if p.new_steps)
    unrecorded = (
        f" {totals.unrecorded} run(s) have their last checkpoint and lack only their record."
        if totals.unrecorded
        else ""
    )
    return (
        f"{runs}: {totals.new_steps:,} new steps, {totals.flops:.2e} FLOPs; "
        f"{totals.shared_steps:,} steps are shared or done. {_time_text(totals, packed, rate)}"
        f"; up to {totals.memory_gb:.2g} GB of memory a process at its peak, "
        f"{totals.new_disk_gb:.2g} GB of checkpoints.{unrecorded}"
    )


def _time_text(totals: Totals, packed: bool, rate: float | None) -> str:
    if math.isnan(totals.seconds):
        return "Their time is not known"
    alone = f" ({duration(totals.seconds_alone)} without packs)" if packed else ""
    untimed = (
        f", without the {totals.untimed} runs whose time is not known" if totals.untimed else ""
    )
    spent = f" to go, {totals.spent_hours:.3g} spent" if totals.spent_hours else ""
    money = f", {totals.money:.2f} at {rate:g} an hour" if totals.money is not None else ""
    return (
        f"Predicted {duration(totals.seconds)} of training{alone}, "
        f"{duration(totals.finish_seconds)} on {totals.workers} worker(s){untimed}; "
        f"the longest {'pack' if packed else 'run'} {duration(3600 * totals.longest_hours)}. "
        f"{totals.new_hours:.3g} device-hours{spent}{money}"
    )
