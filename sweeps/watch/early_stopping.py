"""Early stopping: end a run before its last step, and record why."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from scalinglab.scaling.records.atomic import write_atomic
from scalinglab.scaling.records.run_folder import RunFolder


def stop_run(outputs: Path, run_id: str, reason: dict[str, Any]) -> None:
    """Record that a run is not to be trained to its end; a worker that trains it saves and stops.

    Its checkpoint stays, so that it can be continued (``RunFolder.take_up``).

    Parameters
    ----------
    outputs, run_id
        Where the run's folder lies.
    reason : dict
        Plain values: the rule, the forecast, the step.
    """
    folder = RunFolder(outputs / "runs" / run_id)
    folder.stop(reason)
    attempt = folder.latest_attempt()
    if attempt is not None and folder.is_alive(attempt):
        write_atomic(folder.attempt_file(attempt.number, "cancel"), "")
