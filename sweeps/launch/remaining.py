"""What a launch has still to train, and why it must not go on, if so."""

from __future__ import annotations

from pathlib import Path

from scalinglab.scaling.records.state import WAITING, Outcome, State
from scalinglab.sweeps.launch.retry import Retry, tripped, verdict
from scalinglab.sweeps.store.launch_record import Launch, read_launches
from scalinglab.sweeps.store.spent import overspent
from scalinglab.sweeps.store.state import states
from scalinglab.sweeps.store.stored_plan import StoredPlan, StoredRun, read_plan


def remaining_runs(begun: Launch, plan: StoredPlan) -> tuple[int, str | None]:
    """How many runs of a launch are still to be trained, and why it must not go on, if so."""
    mine = [r for r in plan.runs if r.folder.run_id in begun.classes]

    def gave_up(run: StoredRun) -> bool:
        return verdict(run.folder, begun.launched).when == Retry.NEVER

    current = states(plan.runs, gave_up)
    left = [r for r in mine if current[r.folder.run_id] in (*WAITING, State.RUNNING, State.BLOCKED)]
    why = tripped(mine, begun.launched, bool(begun.config.canary))
    return len(left), why or (overspent(begun, plan) if left else None)


def is_over(begun: Launch) -> bool:
    """Whether no worker has anything more to do in a launch."""
    left, why = remaining_runs(begun, begun.plan())
    return not left or why is not None


def why_stopped(outputs: Path, study: str) -> str | None:
    """Why the latest launch of a study must not go on; None if nothing speaks against it."""
    begun = read_launches(outputs, study)
    if not begun:
        return None
    if begun[-1].is_cancelled():
        return Outcome.CANCELLED
    return remaining_runs(begun[-1], read_plan(outputs, study))[1]


def given_up(outputs: Path, study: str) -> dict[str, str]:
    """run_id -> why the latest launch of a study tries it no more."""
    begun = read_launches(outputs, study)
    if not begun:
        return {}
    open_runs = [
        r
        for r in read_plan(outputs, study).runs
        if r.folder.run_id in begun[-1].classes and not r.folder.done_file.exists()
    ]
    verdicts = {r.folder.run_id: verdict(r.folder, begun[-1].launched) for r in open_runs}
    return {run_id: found.why for run_id, found in verdicts.items() if found.when == Retry.NEVER}
