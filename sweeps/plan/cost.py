"""Cost of a plan in device-hours, disk and money, and the limits of a launch."""

from __future__ import annotations

import math
import shutil
from dataclasses import dataclass
from pathlib import Path

from scalinglab.scaling.errors import ConfigError
from scalinglab.scaling.records.atomic import files_below
from scalinglab.scaling.run.memory import process_bytes
from scalinglab.sweeps.config import LaunchBudget
from scalinglab.sweeps.plan.order import packs
from scalinglab.sweeps.plan.plan import Plan, PlannedRun
from scalinglab.sweeps.store.spent import spent_hours

# Weights and two moments in float32. Pinned checkpoints stay; the latest exists twice while it is
# replaced.
BYTES_A_PARAMETER = 12


@dataclass(frozen=True)
class Cost:
    """Cost of a plan: time, memory and disk.

    Attributes
    ----------
    spent_hours, new_hours : float
        Device-hours of all attempts so far, and predicted device-hours of the remaining work. Runs
        of unknown time are left out.
    longest_hours : float
        Hours of the longest unfinished run, or pack.
    memory_gb : float
        Peak of a process that trains the largest run, or pack: weights, gradients, moments,
        activations and logits, as in ``check_memory``. Other programs are left out.
    disk_gb, new_disk_gb : float
        Files below outputs now, and the checkpoints to come.
    """

    spent_hours: float
    new_hours: float
    longest_hours: float
    memory_gb: float
    disk_gb: float
    new_disk_gb: float


def cost(plan: Plan) -> Cost:
    """The cost of a plan whose seconds are predicted."""
    left = [p for p in plan.runs if p.is_unfinished]
    devices = plan.execution.processes
    seconds = [p.seconds for p in left if not math.isnan(p.seconds)]  # NaN: another program
    parameters = {p.run.run_id: p.run.counts["n_total"] for p in left}
    checkpoints = sum(
        (len({*p.pins, *p.kept}) + 2) * parameters[p.run.run_id] for p in left if p.new_steps
    )
    return Cost(
        spent_hours=spent_hours(map(plan.run_folder, plan.runs), devices),
        new_hours=sum(seconds) * devices / 3600,
        longest_hours=max(map(_pack_seconds, packs(plan)), default=0.0) / 3600,
        memory_gb=max(
            (
                process_bytes(p.run.architecture, p.run.config, p.pack)
                for p in left
                if not p.run.is_command
            ),
            default=0,
        )
        / 1e9,
        disk_gb=used_bytes(plan.outputs) / 1e9,
        new_disk_gb=checkpoints * BYTES_A_PARAMETER / 1e9,
    )


def _pack_seconds(pack: list[PlannedRun]) -> float:
    """Seconds of a whole pack; 0 where they are not known."""
    return sum(p.seconds for p in pack if not math.isnan(p.seconds))


def used_bytes(folder: Path) -> int:
    """Bytes of all files below a folder; those that vanish meanwhile count nothing."""
    total = 0
    for path in files_below(folder):
        try:
            total += path.stat().st_size
        except OSError:
            continue
    return total


def check_budget(costs: Cost, budget: LaunchBudget, outputs: Path) -> None:
    """Refuse a launch that would cost more than it may.

    Raises
    ------
    ConfigError
        Naming the limit and what the plan would come to.
    """
    hours = costs.spent_hours + costs.new_hours
    if budget.device_hours is not None and hours > budget.device_hours:
        raise ConfigError(
            f"launch.budget.device_hours = {budget.device_hours:g}: the study would come to "
            f"{hours:.3g} device-hours ({costs.spent_hours:.3g} spent, {costs.new_hours:.3g} to "
            "go); raise the budget or plan less"
        )
    disk = costs.disk_gb + costs.new_disk_gb
    if budget.disk_gb is not None and disk > budget.disk_gb:
        raise ConfigError(
            f"launch.budget.disk_gb = {budget.disk_gb:g}: outputs would come to {disk:.3g} GB "
            f"({costs.disk_gb:.3g} are used); scaling gc removes what nothing needs"
        )
    folder = outputs
    while not folder.exists():
        folder = folder.parent
    free = shutil.disk_usage(folder).free / 1e9
    if costs.new_disk_gb > free:
        raise ConfigError(
            f"outputs = {outputs}: checkpoints will take {costs.new_disk_gb:.3g} GB and "
            f"{free:.3g} GB are free"
        )
