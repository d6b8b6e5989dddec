"""Stopping a study or some of its runs: all is saved, the next launch goes on."""

from __future__ import annotations

import threading
import time

import pytest

from scalinglab.scaling.errors import ConfigError
from scalinglab.sweeps.config import LaunchConfig
from scalinglab.sweeps.launch.launch import launch
from scalinglab.sweeps.plan.make import make_plan
from scalinglab.sweeps.plan.save import save_plan
from scalinglab.sweeps.store.state import states
from scalinglab.sweeps.store.stored_plan import read_plan
from scalinglab.sweeps.watch.cancel import cancel_runs, cancel_study, open_launches


@pytest.mark.long
def test_a_running_run_saves_and_leaves_and_the_others_go_on(plan) -> None:
    first, second = (p.run.run_id for p in plan.runs)
    said = []

    def cancel_when_it_runs() -> None:
        deadline = time.monotonic() + 600
        folder = plan.run_folder(plan.runs[0])
        while time.monotonic() < deadline and not folder.progress(1).reached:
            time.sleep(0.02)
        said.extend(cancel_runs(plan.outputs, "tiny", first))

    watcher = threading.Thread(target=cancel_when_it_runs)
    watcher.start()
    launch(plan.outputs, "tiny", LaunchConfig("inline"))
    watcher.join()
    folder = plan.run_folder(plan.runs[0])
    assert said == [f"{first} saves and leaves (attempt 1)"]
    assert folder.attempt(1).end.reason == "cancelled" and folder.attempt_numbers() == [1]
    assert states(read_plan(plan.outputs, "tiny").runs) == {first: "interrupted", second: "done"}
    launch(plan.outputs, "tiny", LaunchConfig("inline"))
    record = folder.record()
    assert record.attempt == 2 and record.started_at_step == folder.progress(1).step > 0


def test_a_waiting_run_is_not_begun_by_the_launch_that_is_under_way(plan) -> None:
    waiting = plan.runs[1].run.run_id
    ticks = []

    def cancel_at_once() -> None:
        if not ticks:
            ticks.append(cancel_runs(plan.outputs, "tiny", waiting))

    launch(plan.outputs, "tiny", LaunchConfig("inline"), cancel_at_once)
    assert ticks == [[f"{waiting} will not be begun"]]
    assert states(read_plan(plan.outputs, "tiny").runs)[waiting] == "interrupted"


def test_a_launch_that_has_returned_leaves_its_process_alone(study) -> None:
    """A notebook's kernel launches and lives on: cancelling then would end the kernel."""
    ladder = "study.blocks.ladder.grid"
    plan = make_plan(study(f"{ladder}.model.width=[8]", f"{ladder}.tokens=[2560]"))
    save_plan(plan)
    launch(plan.outputs, "tiny", LaunchConfig("inline"))
    assert open_launches(plan.outputs, "tiny") == []
    assert cancel_study(plan.outputs, "tiny") == []


def test_a_study_that_is_not_under_way_has_nothing_to_cancel(plan) -> None:
    assert cancel_study(plan.outputs, "tiny") == []
    with pytest.raises(ConfigError, match="there is no study 'other'"):
        cancel_study(plan.outputs, "other")
    with pytest.raises(ConfigError, match="chooses none"):
        cancel_runs(plan.outputs, "tiny", "failed")
