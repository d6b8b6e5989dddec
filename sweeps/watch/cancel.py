"""Cancel a study, or some of its runs: workers save before they leave."""

from __future__ import annotations

import contextlib
import os
import signal
from pathlib import Path

from scalinglab.scaling.records import machine
from scalinglab.scaling.records.atomic import write_atomic
from scalinglab.scaling.records.claim import Claim
from scalinglab.scaling.records.processes import Process, boot, process_start
from scalinglab.scaling.records.state import Outcome
from scalinglab.sweeps.launch.submissions import cancel_jobs, reconcile
from scalinglab.sweeps.store.launch_record import (
    Launch,
    launcher_of,
    read_launches,
    read_probe_launches,
)
from scalinglab.sweeps.store.select import select
from scalinglab.sweeps.store.stored_plan import StoredRun, read_plan

CANCEL_LEASE_SECONDS = 10.0


def cancel_study(outputs: Path, study: str) -> list[str]:
    """End every launch of a study; its workers save and leave.

    Returns
    -------
    list of str
        What was done, one sentence for each launch.
    """
    read_plan(outputs, study)
    probing = filter(_is_open, read_probe_launches(outputs, study))
    return [_cancel_launch(launch) for launch in (*open_launches(outputs, study), *probing)]


def open_launches(outputs: Path, study: str) -> list[Launch]:
    """Launches of a study that may still have jobs or processes."""
    return [launch for launch in read_launches(outputs, study) if _is_open(launch)]


def _is_open(launch: Launch) -> bool:
    """Whether a launch may still have jobs or processes."""
    if launch.is_cancelled():
        return False
    if launch.config.backend == "slurm" and reconcile(launch) != []:
        return True
    return _is_alive(launcher_of(launch.folder)) is not False


def _is_alive(launcher: Process | None) -> bool | None:
    """Whether a process of this host still is the launcher; None if it was another host's."""
    if launcher is None:  # it has returned
        return False
    if launcher.host != machine.host():
        return None
    same = launcher.boot == boot()
    return same and process_start(launcher.pid) == launcher.process_start


def _cancel_launch(launch: Launch) -> str:
    # The file first: workers that start later see it, and none goes back into the queue.
    write_atomic(launch.folder / "cancelled", "")
    sentence = f"launch {launch.token} ({launch.config.backend}): its workers save and leave"
    if launch.config.backend == "slurm":
        if not cancel_jobs(launch):
            sentence += "; SLURM does not answer, so its jobs leave when they next look"
    elif (launcher := launcher_of(launch.folder)) is not None and _is_alive(launcher):
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.kill(launcher.pid, signal.SIGTERM)
    return sentence


def cancel_runs(outputs: Path, study: str, chosen: str) -> list[str]:
    """End some runs: those in training save and stop, those that wait are not begun.

    The next launch continues them.

    Returns
    -------
    list of str
        One sentence for each run that was not finished.
    """
    runs = select(read_plan(outputs, study).runs, chosen)
    return [_cancel_run(run) for run in runs if run.folder.done() is None]


def _cancel_run(run: StoredRun) -> str:
    claim = Claim.acquire(run.folder, CANCEL_LEASE_SECONDS)
    if claim is not None:  # nobody trains it: this attempt records that nobody should
        claim.release(Outcome.CANCELLED)
        return f"{run.run_id} will not be begun"
    attempt = run.folder.latest_attempt()
    if attempt is None:
        return f"{run.run_id} was finished meanwhile"
    write_atomic(run.folder.attempt_file(attempt.number, "cancel"), "")
    return f"{run.run_id} saves and leaves (attempt {attempt.number})"
