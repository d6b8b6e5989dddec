"""Notes that people kept with the runs of a study, as a section of its report."""

from __future__ import annotations

from pathlib import Path

import pandas as pd

from scalinglab.analysis.reporting.page import Section
from scalinglab.analysis.tables.study_runs import study_plan
from scalinglab.scaling.records.notes import notes_of
from scalinglab.scaling.records.run_folder import RunFolder


def logbook(outputs: str | Path, study: str) -> list[Section]:
    """The notes of all runs of a study, ended or not, in the order of their dates."""
    entries = sorted(
        (note, entry.run_id)
        for entry in study_plan(outputs, study).runs
        for note in notes_of(RunFolder(Path(outputs) / "runs" / entry.run_id))
    )
    if not entries:
        return []
    rows = [
        {"when (UTC)": note.made[:16].replace("T", " "), "run_id": run_id, "note": note.text}
        for note, run_id in entries
    ]
    return [Section("Logbook: notes kept with the runs", tables=[pd.DataFrame(rows)])]
