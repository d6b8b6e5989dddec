"""What a launch may cost is asked before anything is spent."""

from __future__ import annotations

import os
from dataclasses import replace

import pytest

from scalinglab.scaling.errors import ConfigError
from scalinglab.scaling.records.atomic import read_json, write_json
from scalinglab.scaling.records.claim import Claim
from scalinglab.scaling.records.run_folder import RunFolder
from scalinglab.sweeps.config import LaunchBudget, LaunchConfig
from scalinglab.sweeps.launch.remaining import LaunchLook
from scalinglab.sweeps.launch.work_list import WorkList
from scalinglab.sweeps.plan.cost import Cost, check_budget, cost
from scalinglab.sweeps.plan.make import make_plan
from scalinglab.sweeps.plan.save import save_plan
from scalinglab.sweeps.plan.timing import nowhere, with_seconds
from scalinglab.sweeps.store.launch_record import new_launch, store_launch
from scalinglab.sweeps.store.stored_plan import read_plan


@pytest.fixture
def plan(study):
    made = make_plan(study())
    return replace(made, runs=[replace(p, seconds=3600.0) for p in made.runs])


def test_the_cost_of_a_plan(plan) -> None:
    found = cost(plan)
    assert found.new_hours == len(plan.runs) and found.longest_hours == 1.0
    assert found.spent_hours == 0.0 and found.new_disk_gb > 0
    two = replace(plan, execution=replace(plan.execution, processes=2))
    assert cost(two).new_hours == 2 * len(plan.runs)
    unknown = replace(plan, runs=[replace(p, seconds=float("nan")) for p in plan.runs])
    assert cost(unknown).new_hours == 0.0


def test_budgets_refuse_and_say_why(plan) -> None:
    found = cost(plan)
    check_budget(found, LaunchBudget(), plan.outputs)
    check_budget(found, LaunchBudget(device_hours=10.0, disk_gb=10.0), plan.outputs)
    with pytest.raises(ConfigError, match=r"device_hours = 4: the study would come to 5 device-h"):
        check_budget(found, LaunchBudget(device_hours=4.0), plan.outputs)
    with pytest.raises(ConfigError, match="launch.budget.disk_gb = 0"):
        check_budget(found, LaunchBudget(disk_gb=0.0), plan.outputs)
    huge = Cost(0.0, 1.0, 1.0, 1.0, 0.0, new_disk_gb=1e9)
    with pytest.raises(ConfigError, match="GB are free"):
        check_budget(huge, LaunchBudget(), plan.outputs)


def attempt(folder: RunFolder, number: int, hours: float, **said) -> None:
    """An attempt that began at 0 and ended, or last beat, so many hours later."""
    claim = Claim.acquire(folder, 60.0)
    claim.report(said)
    claim.release("interrupted")
    assert claim.number == number
    for suffix, key, value in (("json", "started", 0.0), ("end", "ended", 3600 * hours)):
        path = folder.attempt_file(number, suffix)
        write_json(path, read_json(path) | {key: value})


def test_what_every_attempt_has_spent_is_part_of_the_budget(plan, tmp_path) -> None:
    save_plan(plan)
    first, second = (plan.run_folder(p) for p in plan.runs[:2])
    for number in (1, 2):  # the first was killed: what it trained was trained again
        attempt(first, number, 2.0, step=5)
    attempt(second, 1, 4.0, step=5, members=4)
    second.attempt_file(1, "end").unlink()  # killed: its last beat counts
    os.utime(second.attempt_file(1, "beat"), (7200, 7200))
    assert cost(plan).spent_hours == pytest.approx(2 + 2 + 2 / 4)
    two = replace(plan, execution=replace(plan.execution, processes=2))
    assert cost(two).spent_hours == pytest.approx(9.0)
    with pytest.raises(ConfigError, match=r"9.5 device-hours \(4.5 spent, 5 to go\)"):
        check_budget(cost(plan), LaunchBudget(device_hours=9.0), plan.outputs)

    stored = read_plan(plan.outputs, "tiny")
    for hours, stops in ((4.0, True), (5.0, False)):
        config = LaunchConfig(budget=LaunchBudget(device_hours=hours))
        begun = new_launch(plan.outputs, "tiny", config, stored.runs, tmp_path)
        store_launch(begun)
        why = WorkList(begun, "default").why_tripped()
        assert LaunchLook(begun, stored).why_stopped() == why
        assert ("launch.budget.device_hours = 4 are spent (4.5 " in (why or "")) == stops


def test_a_budget_names_the_runs_that_it_cannot_count(plan) -> None:
    plan = replace(plan, runs=[replace(p, seconds=float("nan")) for p in plan.runs])
    budget = LaunchConfig(pack="off", budget=LaunchBudget(device_hours=5.0))
    said = " ".join(with_seconds(plan, nowhere(), budget).warnings)
    assert "device_hours = 5 cannot refuse what is not known: the time of 5 runs (" in said
    assert plan.runs[0].run.run_id in said
    assert "cannot refuse" not in " ".join(with_seconds(plan, nowhere()).warnings)
