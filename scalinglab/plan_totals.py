"""The totals of a plan: steps, time, device-hours, memory, disk, money."""

from __future__ import annotations

import math
from dataclasses import dataclass

import pandas as pd

from scalinglab.prepare import Prepared
from scalinglab.scaling.text.duration import duration
from scalinglab.show import counts
from scalinglab.sweeps.plan.cost import cost
from scalinglab.sweeps.plan.order import finish_seconds, packs
from scalinglab.sweeps.plan.places import worker_count
from scalinglab.sweeps.plan.plan import Plan


@dataclass(frozen=True)
class Totals:
    """The totals of a plan; an unknown number is NaN.

    Attributes
    ----------
    states : dict
        State -> number of runs.
    new_steps : int
        Steps that have to be trained.
    shared_steps : int
        Steps that other runs train, or that are done.
    unrecorded : int
        Runs that have their last checkpoint and lack only their record.
    flops : float
        FLOPs of the new steps.
    seconds, seconds_alone : float
        Predicted seconds of training; without packs.
    finish_seconds : float
        Seconds until the last run ends, on `workers`.
    untimed : int
        Unfinished runs whose time is not known.
    longest_hours, new_hours, spent_hours : float
        Device-hours of the longest run or pack, to go, and spent.
    money : float or None
        Cost of the hours to go, at ``launch.rate``.
    memory_gb, new_disk_gb : float
        Peak memory of a process; new checkpoints on the disk.
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
    unfinished = [p for p in plan.runs if p.is_unfinished]
    seconds = [p.seconds for p in unfinished]
    timed = [s for s in seconds if not math.isnan(s)]
    costs = cost(plan)
    new_steps = sum(p.new_steps for p in plan.runs)
    states = pd.Series([p.state for p in plan.runs]).value_counts()
    return Totals(
        states={str(state): int(count) for state, count in states.items()},
        new_steps=new_steps,
        shared_steps=sum(p.run.steps for p in plan.runs) - new_steps,
        unrecorded=sum(not p.new_steps and p.needs is None for p in unfinished),
        flops=sum(p.run.C * p.new_steps / p.run.steps for p in plan.runs),
        seconds=sum(timed) if timed else math.nan,
        seconds_alone=sum(p.seconds_alone for p in plan.runs if p.seconds_alone > 0),
        finish_seconds=finish_seconds(plan, workers) if unfinished else 0.0,
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
    """The totals of a plan in a few sentences."""
    plan = prepared.plan
    runs = f"{len(plan.runs)} runs ({counts(pd.Series([p.state for p in plan.runs]))})"
    if not any(p.is_unfinished for p in plan.runs):
        return f"{runs}: nothing is left to train."
    unrecorded = (
        f" {totals.unrecorded} run(s) have their last checkpoint and lack only their record."
        if totals.unrecorded
        else ""
    )
    memory = ""
    if totals.memory_gb:  # that of another program is not known
        memory = f"up to {totals.memory_gb:.2g} GB of memory a process at its peak, "
    return (
        f"{runs}: {totals.new_steps:,} new steps, {totals.flops:.2e} FLOPs (causal); "
        f"{totals.shared_steps:,} steps are shared or done. {_time_text(totals, prepared)}"
        f"; {memory}{totals.new_disk_gb:.2g} GB of checkpoints.{unrecorded}"
    )


def causal_in_words(plan: Plan) -> str:
    """How the C of a plan compares with that of a report's budgets; empty if they are one."""
    whole = [(p.run.C, 6 * p.run.counts["n_matmul"] * p.run.tokens) for p in plan.runs]
    if not all(plain > 0 for _, plain in whole):  # of another program that says no size
        return ""
    ratios = [f"{ratio:.3g}" for ratio in sorted(C / plain for C, plain in whole)]
    if not ratios or ratios[0] == ratios[-1] == "1":
        return ""
    times = ratios[0] if ratios[0] == ratios[-1] else f"{ratios[0]} to {ratios[-1]}"
    return f"C (causal) is {times} times 6 N D, in which a report counts its budgets"


def _time_text(totals: Totals, prepared: Prepared) -> str:
    if math.isnan(totals.seconds):
        return "Their time is not known"
    packed = any(p.pack > 1 for p in prepared.plan.runs if p.new_steps)
    rate = prepared.config.rate
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
