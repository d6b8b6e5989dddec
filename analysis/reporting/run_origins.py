"""How the runs of a study came about: on which machines, by which attempts, and what is missing."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pandas as pd

from scalinglab.scaling.records.plan_file import PlanFile
from scalinglab.scaling.records.run_folder import RunFolder
from scalinglab.scaling.records.state import State


def unfinished_counts(outputs: str | Path, plan: PlanFile, runs: pd.DataFrame) -> dict[State, int]:
    """State -> number of runs of a plan that are not among some runs."""
    left = {r.run_id for r in plan.runs} - set(runs["run_id"])
    return dict(Counter(RunFolder(Path(outputs) / "runs" / run_id).state() for run_id in left))


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
