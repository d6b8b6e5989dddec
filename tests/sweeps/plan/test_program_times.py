"""Runs of a program of somebody else's take as long as its finished runs did, or nobody knows."""

from __future__ import annotations

import math

import pytest

from scalinglab.scaling.records.atomic import write_atomic, write_json
from scalinglab.scaling.records.claim import Claim
from scalinglab.scaling.records.record import RECORD_VERSION
from scalinglab.sweeps.config import LaunchBudget, LaunchConfig
from scalinglab.sweeps.plan.cost import cost
from scalinglab.sweeps.plan.make import make_plan
from scalinglab.sweeps.plan.plan import Plan, PlannedRun
from scalinglab.sweeps.plan.save import save_plan
from scalinglab.sweeps.plan.timing import nowhere, with_seconds

PROGRAM = ["trainer=command", "trainer.program=theirs", "execution.command=[train]"]


def finish(plan: Plan, planned: PlannedRun, seconds_a_step: float, processes: int = 1) -> None:
    """Leave what a finished run leaves, as far as a plan reads it."""
    folder = plan.run_folder(planned)
    claim = Claim.acquire(folder, 60.0)
    steps = planned.run.steps
    write_json(
        folder.path / "record-0001.json",
        {
            **folder.spec().to_dict(),
            "record_version": RECORD_VERSION,
            "cluster": planned.run.family_id,
            "status": "done",
            "steps": steps,
            "tokens": planned.run.tokens,
            "epochs": 1.0,
            "final": {"validation_loss": 5.0},
            "throughput": {"seconds": steps * seconds_a_step},
            "machine": {"device": "cpu", "processes": processes, "processor": "a chip"},
        },
    )
    write_atomic(folder.path / "curve-0001.csv.gz", "")
    claim.finish("done", steps, {"record": "record-0001.json", "curve": "curve-0001.csv.gz"})


@pytest.fixture
def planned(study):
    """Plans the tiny study for a program; overrides are those of another study of the program."""

    def plan(*overrides: str) -> Plan:
        return make_plan(study(*PROGRAM, *overrides))

    first = plan()
    save_plan(first)
    return plan, first


def costs(plan: Plan, **budget: float) -> Plan:
    return with_seconds(plan, nowhere(), LaunchConfig(pack="off", budget=LaunchBudget(**budget)))


def test_as_long_as_no_run_has_finished_the_time_is_not_known(planned) -> None:
    _, plan = planned
    found = costs(plan, device_hours=1.0)
    assert all(math.isnan(p.seconds) for p in found.runs)
    said = " ".join(found.warnings)
    assert "how long 5 runs of the program 'theirs' take is not known: none has finished" in said
    assert "device_hours = 1 cannot refuse what is not known: the time of 5 runs" in said


def test_finished_runs_tell_by_their_flops_a_step(planned) -> None:
    plan, first = planned
    small, large = (next(p for p in first.runs if p.run.shape.width == w) for w in (8, 16))
    finish(first, small, 2.0)
    found = {p.run.run_id: p for p in costs(plan()).runs}
    ratio = large.run.C / large.run.steps / (small.run.C / small.run.steps)
    assert found[large.run.run_id].seconds == pytest.approx(large.run.steps * 2.0 * ratio)
    finish(first, large, 3.0)  # each shape has its own now
    found = costs(plan())
    left = [p for p in found.runs if p.state == "planned"]
    assert len(left) == 3
    for one in left:
        assert one.seconds == pytest.approx(one.run.steps * (2.0, 3.0)[one.run.shape.width == 16])
    assert cost(found).new_hours * 3600 == pytest.approx(sum(p.seconds for p in left))
    said = " ".join(found.warnings)
    assert "'theirs' are predicted from those that have finished (2, on a chip), by FLOPs" in said


def test_other_programs_and_other_numbers_of_processes_tell_nothing(planned) -> None:
    plan, first = planned
    finish(first, first.runs[0], 2.0, processes=8)
    assert math.isnan(costs(plan()).runs[-1].seconds)
    finish(first, first.runs[1], 2.0)
    assert not math.isnan(costs(plan()).runs[-1].seconds)
    assert math.isnan(costs(plan("trainer.program=another")).runs[-1].seconds)
