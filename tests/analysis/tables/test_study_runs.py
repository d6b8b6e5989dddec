"""States of unfinished runs as a report tells them, which sees folders alone."""

from __future__ import annotations

from scalinglab.analysis.tables.study_runs import counts_of_folders
from scalinglab.scaling.records.state import State


def test_a_run_that_may_wait_is_not_called_otherwise_than_by_status() -> None:
    states = {State.INTERRUPTED: 1, State.PLANNED: 47, State.FAILED: 2}
    assert counts_of_folders(states) == (
        "2 failed, 1 interrupted or waiting, 47 waiting or planned"
    )
