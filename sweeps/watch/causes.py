"""Why runs of a study fail: failures grouped by cause, and the history of each run."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import pandas as pd

from scalinglab.scaling.records.attempt import Attempt
from scalinglab.scaling.records.notes import notes_of
from scalinglab.scaling.records.run_folder import RunFolder
from scalinglab.scaling.records.state import State
from scalinglab.scaling.text.printable import printable
from scalinglab.sweeps.store.stored_plan import read_plan

TAIL_LINES = 30


def causes(outputs: Path, study: str) -> pd.DataFrame:
    """Failures that still stand, one row for each cause, the most frequent first.

    Returns
    -------
    DataFrame
        Columns ``class, error, runs`` (ids), ``attempts`` (number of failures), ``nodes``,
        ``traceback`` (the last one). A run whose last attempt ended without reporting why has the
        class "vanished": its process, job or node was killed.
    """
    groups: dict[tuple[str, str], list[tuple[RunFolder, Attempt]]] = {}
    for run in read_plan(outputs, study).runs:
        attempt = run.folder.latest_attempt() if run.folder.done() is None else None
        if attempt is None:
            continue
        if (key := _cause(run.folder, attempt)) is not None:
            groups.setdefault(key, []).append((run.folder, attempt))
    rows = [_row(kind, cases) for (kind, _), cases in groups.items()]
    columns = ["class", "error", "runs", "attempts", "nodes", "traceback"]
    frame = pd.DataFrame(rows, columns=columns)
    return frame.sort_values("runs", key=lambda r: -r.map(len), ignore_index=True)


def _cause(folder: RunFolder, attempt: Attempt) -> tuple[str, str] | None:
    """(class, signature) of an attempt that failed; None if it did not fail."""
    if attempt.end is None:
        return None if folder.is_alive(attempt) else ("vanished", "")
    failure = attempt.failure
    return None if failure is None else (failure, attempt.end.signature)


def _row(kind: str, cases: list[tuple[RunFolder, Attempt]]) -> dict[str, Any]:
    end = cases[-1][1].end
    return {
        "class": kind,
        "error": printable(
            "the process ended without a word: killed, or its node died"
            if end is None
            else end.error
        ),
        "runs": [folder.run_id for folder, _ in cases],
        "attempts": sum(
            _cause(folder, folder.attempt(n)) is not None
            for folder, _ in cases
            for n in folder.attempt_numbers()
        ),
        "nodes": sorted({a.owner.place for _, a in cases}),
        "traceback": printable("" if end is None else end.traceback),
    }


def history(folder: RunFolder) -> str:
    """The attempts at a run, its notes, and the last lines of its worker's log."""
    lines = [f"run {folder.run_id}: {folder.state()}"]
    for number in folder.attempt_numbers():
        attempt = folder.attempt(number)
        progress = folder.progress(number)
        started = time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(attempt.owner.started))
        job = attempt.owner.job
        lines.append(
            f"attempt {number}: {started}, "
            f"{attempt.owner.place}{f', job {job[0]}' if job else ''}, process "
            f"{attempt.owner.pid}; steps {progress.start} to "
            f"{'?' if progress.step is None else progress.step}; {_ended(folder, attempt)}"
        )
        if attempt.end is not None and attempt.end.traceback:
            lines += ["    " + line for line in attempt.end.traceback.strip().split("\n")]
    lines += [f"note {note}" for note in notes_of(folder)]
    return "\n".join([*lines, *log_tail(folder)])


def _ended(folder: RunFolder, attempt: Attempt) -> str:
    if attempt.end is not None:
        return f"{attempt.end.reason} {attempt.end.cause or ''}".strip()
    return State.RUNNING if folder.is_alive(attempt) else "ended without a word"


def log_file(folder: RunFolder) -> Path | None:
    """The log of the worker of a run's latest attempt; None if it named none."""
    attempt = folder.latest_attempt()
    name = attempt.owner.log if attempt is not None else None
    return Path(name) if name else None


def log_tail(folder: RunFolder, lines: int = TAIL_LINES) -> list[str]:
    """The last lines of the log of a run's worker; they may be about other runs of the worker."""
    path = log_file(folder)
    if path is None or not path.exists():
        return []
    text = path.read_text(errors="replace").splitlines()
    return [f"{path}:", *("    " + line for line in text[-lines:])]
