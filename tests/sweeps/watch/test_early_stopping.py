"""Runs that a rule has stopped: they save and leave, and no launch takes them up."""

from __future__ import annotations

import threading
import time

import pytest

from scalinglab.sweeps.config import LaunchConfig
from scalinglab.sweeps.launch.launch import launch
from scalinglab.sweeps.store.state import states
from scalinglab.sweeps.store.stored_plan import read_plan
from scalinglab.sweeps.watch.early_stopping import stop_run


@pytest.mark.long
def test_a_stopped_run_leaves_and_stays_out_until_it_is_taken_up(plan) -> None:
    first, second = (p.run.run_id for p in plan.runs)
    folder = plan.run_folder(plan.runs[0])

    def stop_when_it_runs() -> None:
        deadline = time.monotonic() + 600
        while time.monotonic() < deadline and not folder.progress(1).reached:
            time.sleep(0.02)
        stop_run(plan.outputs, first, {"step": 1, "rule": "test"})

    watcher = threading.Thread(target=stop_when_it_runs)
    watcher.start()
    launch(plan.outputs, "tiny", LaunchConfig("inline"))
    watcher.join()
    runs = read_plan(plan.outputs, "tiny").runs
    assert states(runs) == {first: "stopped", second: "done"}
    assert folder.progress(1).validation  # its curve so far, to be forecast from
    launch(plan.outputs, "tiny", LaunchConfig("inline"))
    assert states(runs)[first] == "stopped" and len(folder.attempt_numbers()) == 1
    folder.take_up()
    launch(plan.outputs, "tiny", LaunchConfig("inline"))
    assert states(runs)[first] == "done"
