"""Which runs a launch has yet to train, and whether it must stop before that."""

from __future__ import annotations

from pathlib import Path

from scalinglab.scaling.records.state import TO_BEGIN, Outcome, State
from scalinglab.sweeps.launch.retry import Retry, tripped, verdict
from scalinglab.sweeps.store.launch_record import Launch, read_launches
from scalinglab.sweeps.store.spent import overspent
from scalinglab.sweeps.store.state import states
from scalinglab.sweeps.store.stored_plan import StoredPlan, StoredRun, read_plan


class LaunchLook:
    """A launch at one moment: the state of each run, and the runs that it gave up, read once.

    Parameters
    ----------
    launch : Launch
    plan : StoredPlan
        The plan whose runs it trains.
    """

    def __init__(self, launch: Launch, plan: StoredPlan) -> None:
        self.launch, self.plan = launch, plan
        self.runs = [r for r in plan.runs if r.run_id in launch.classes]
        self._gave_up: dict[str, bool] = {}
        self._states = states(plan.runs, self.gave_up)

    def state(self, run: StoredRun) -> State:
        """The state of a run as the launch sees it (`scalinglab.sweeps.store.state`)."""
        return self._states[run.run_id]

    def gave_up(self, run: StoredRun) -> bool:
        """Whether the launch does not try a run again, or was never asked to train it."""
        run_id = run.run_id
        if run_id not in self._gave_up:
            self._gave_up[run_id] = (
                run_id not in self.launch.classes
                or verdict(run.folder, self.launch.launched).when == Retry.NEVER
            )
        return self._gave_up[run_id]

    def left(self) -> int:
        """Number of runs that are still to be trained."""
        unfinished = (*TO_BEGIN, State.RUNNING, State.WAITING)
        return sum(self.state(run) in unfinished for run in self.runs)

    def why_stopped(self) -> str | None:
        """Why the launch must not continue; None if it may."""
        reason = tripped(self.runs, self.launch.launched, bool(self.launch.config.canary))
        return reason or (overspent(self.launch, self.plan) if self.left() else None)

    def is_over(self) -> bool:
        """Whether no worker has anything left to do."""
        return not self.left() or self.why_stopped() is not None


def why_stopped(outputs: Path, study: str) -> str | None:
    """Why the latest launch of a study must not continue; None if it may."""
    launches = read_launches(outputs, study)
    if not launches:
        return None
    if launches[-1].is_cancelled():
        return Outcome.CANCELLED
    return LaunchLook(launches[-1], read_plan(outputs, study)).why_stopped()


def given_up(outputs: Path, study: str) -> dict[str, str]:
    """run_id -> why the latest launch of a study gave it up."""
    launches = read_launches(outputs, study)
    if not launches:
        return {}
    latest = launches[-1]
    open_runs = [
        r
        for r in read_plan(outputs, study).runs
        if r.run_id in latest.classes and not r.folder.done_file.exists()
    ]
    verdicts = {r.run_id: verdict(r.folder, latest.launched) for r in open_runs}
    return {run_id: v.why for run_id, v in verdicts.items() if v.when == Retry.NEVER}
