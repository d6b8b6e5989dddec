"""What a launch may cost is asked before anything is spent."""

from __future__ import annotations

from dataclasses import replace

import pytest

from scaling.config import ConfigError
from sweeps.budget import Cost, check_budget, cost
from sweeps.launches import Budget
from sweeps.plan import make_plan


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
    check_budget(found, Budget(), plan.outputs)
    check_budget(found, Budget(device_hours=10.0, disk_gb=10.0), plan.outputs)
    with pytest.raises(ConfigError, match=r"device_hours = 4: the study would come to 5 device-h"):
        check_budget(found, Budget(device_hours=4.0), plan.outputs)
    with pytest.raises(ConfigError, match="launch.budget.disk_gb = 0"):
        check_budget(found, Budget(disk_gb=0.0), plan.outputs)
    huge = Cost(0.0, 1.0, 1.0, 1.0, 0.0, new_disk_gb=1e9)
    with pytest.raises(ConfigError, match="GB are free"):
        check_budget(huge, Budget(), plan.outputs)
