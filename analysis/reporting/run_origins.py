"""How the runs of a study came about: on which machines, by which attempts, and what is missing."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from datetime import UTC, datetime
from pathlib import Path

import pandas as pd

from scalinglab.scaling.records.attempt import Attempt
from scalinglab.scaling.records.plan_file import PlanFile
from scalinglab.scaling.records.run_folder import RunFolder
from scalinglab.scaling.records.state import State

_MOST_TOLD = 500  # runs, up to which the page tells every attempt
_LONGEST = 200  # characters of an error


def unfinished_counts(outputs: str | Path, plan: PlanFile, runs: pd.DataFrame) -> dict[State, int]:
    """State -> number of runs of a plan that are not among some runs."""
    left = {r.run_id for r in plan.runs} - set(runs["run_id"])
    return dict(Counter(RunFolder(Path(outputs) / "runs" / run_id).state() for run_id in left))


def attempts_of(outputs: str | Path, run_ids: Iterable[str]) -> dict[str, list[list[str]]]:
    """Run -> of each attempt when it started and ended (UTC), its state, and its error.

    Of very many runs only those that needed several attempts, or failed.
    """
    run_ids = [str(run_id) for run_id in run_ids]
    told = {}
    for run_id in run_ids:
        folder = RunFolder(Path(outputs) / "runs" / run_id)
        attempts = [folder.attempt(number) for number in folder.attempt_numbers()]
        failed = any(attempt.failure for attempt in attempts)
        if attempts and (len(run_ids) <= _MOST_TOLD or len(attempts) > 1 or failed):
            told[run_id] = [_told(folder, attempt) for attempt in attempts]
    return told


def _told(folder: RunFolder, attempt: Attempt) -> list[str]:
    end = attempt.end
    if end is None:
        state = "running" if folder.is_alive(attempt) else "interrupted; its end was not recorded"
        return [_minute(attempt.owner.started), "", state, ""]
    error = end.error.partition("\n")[0][:_LONGEST]
    return [_minute(attempt.owner.started), _minute(end.ended), str(end.reason), error]


def _minute(seconds: float) -> str:
    return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%d %H:%M}"


def machines_of(outputs: str | Path, runs: pd.DataFrame) -> pd.DataFrame:
    """Distinct machines and versions with the number of runs made there."""
    rows = []
    for run_id in runs["run_id"]:
        folder = RunFolder(Path(outputs) / "runs" / run_id)
        if folder.done() is None:  # imported
            continue
        record = folder.record()
        place = record.machine
        rows.append(
            {
                "processor": place.processor,
                "device": place.device,
                "engine": place.engine,
                **record.versions,
                "code": record.code.commit or "unknown",
                "fingerprint": record.code.fingerprint,
            }
        )
    frame = pd.DataFrame(rows)
    if frame.empty:
        return frame
    return frame.groupby(list(frame), dropna=False).size().rename("runs").reset_index()
