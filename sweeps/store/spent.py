"""Device-hours that the attempts of a study have spent so far, by the files of each attempt."""

from __future__ import annotations

from collections.abc import Iterable

from scalinglab.scaling.records.attempt import Attempt
from scalinglab.scaling.records.run_folder import RunFolder
from scalinglab.sweeps.store.launch_record import Launch
from scalinglab.sweeps.store.stored_plan import StoredPlan


def spent_hours(folders: Iterable[RunFolder], devices: int) -> float:
    """Device-hours of all attempts at some runs, from claim to end, or to the last heartbeat.

    A member of a pack counts its share of the pack's time. Steps that a requeued attempt repeated
    count as well, and so do starting, compiling and saving.

    Parameters
    ----------
    folders : iterable of RunFolder
    devices : int
        Devices of one run.
    """
    seconds = sum(
        _seconds(folder, folder.attempt(n)) for folder in folders for n in folder.attempt_numbers()
    )
    return seconds * devices / 3600


def _seconds(folder: RunFolder, attempt: Attempt) -> float:
    """Seconds of one attempt; both times are by the file server's clock."""
    if attempt.end is not None:
        last = attempt.end.ended
    else:
        try:
            last = folder.attempt_file(attempt.number, "beat").stat().st_mtime
        except FileNotFoundError:
            return 0.0
    members = folder.progress(attempt.number).members
    return max(0.0, last - attempt.owner.started) / members


def overspent(launch: Launch, plan: StoredPlan) -> str | None:
    """Why a launch begins no further run, if its budget of device-hours is spent."""
    limit = launch.config.budget.device_hours
    if limit is None:
        return None
    hours = spent_hours((r.folder for r in plan.runs), plan.execution.processes)
    if hours < limit:
        return None
    return (
        f"launch.budget.device_hours = {limit:g} are spent ({hours:.3g} by all attempts at the "
        "study's runs); no further run is begun; raise the budget to go on"
    )
