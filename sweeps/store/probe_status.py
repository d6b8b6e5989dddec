"""Progress of the questions to a study's checkpoints: asked, found, failed."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pandas as pd

from scalinglab.scaling.probes.folder import ProbeFolder
from scalinglab.scaling.records.damage import DamagedFile, tell
from scalinglab.scaling.text.printable import printable
from scalinglab.sweeps.store.probe_questions import ProbeQuestion, questions_folder, read_question

COLUMNS = ("probe", "options", "asked", "found", "running", "failed", "error")


def probe_status(outputs: Path, study: str) -> pd.DataFrame:
    """One row per question that was asked of a study.

    Returns
    -------
    DataFrame
        ``probe, options`` (those that are set), ``asked`` and ``found`` (numbers
        of a run at a step), ``running`` and ``failed`` (runs that lack numbers: somebody is at
        them, or their last attempt ended with an error) and ``error``, the last one. A failed
        question stays asked: the next ``scaling probe`` tries it again, ``withdraw=true`` ends it.
    """
    rows = []
    for file in sorted(questions_folder(outputs, study).glob("*.json")):
        try:
            rows.append(_row(read_question(file), outputs))
        except FileNotFoundError:
            continue
        except DamagedFile as error:
            tell(error, "this question is left out")
    return pd.DataFrame(rows, columns=list(COLUMNS))


def _row(question: ProbeQuestion, outputs: Path) -> dict[str, Any]:
    folders = question.folders(outputs)
    lacking = [(folder, missing) for folder in folders if (missing := folder.missing())]
    errors = [error for folder, _ in lacking if (error := _error(folder)) is not None]
    running = sum(_is_running(folder) for folder, _ in lacking)
    asked = sum(len(folder.requested) for folder in folders)
    return {
        "probe": question.probe,
        "options": ", ".join(
            f"{k}={v}" for k, v in question.options.items() if v not in (None, False)
        ),
        "asked": asked,
        "found": asked - sum(len(missing) for _, missing in lacking),
        "running": running,
        "failed": len(errors),
        "error": errors[-1] if errors else "",
    }


def _is_running(folder: ProbeFolder) -> bool:
    attempt = folder.latest_attempt()
    return attempt is not None and attempt.end is None and folder.is_alive(attempt)


def _error(folder: ProbeFolder) -> str | None:
    """The error of the last attempt; None if it did not fail."""
    attempt = folder.latest_attempt()
    if attempt is None or attempt.end is None or attempt.failure is None:
        return None
    return printable(attempt.end.error or str(attempt.end.reason))
