"""Failures are grouped by cause, and attempts tell what they did."""

from __future__ import annotations

import pytest

from scalinglab.scaling.records.claim import Claim
from scalinglab.sweeps.plan.make import make_plan
from scalinglab.sweeps.plan.save import save_plan
from scalinglab.sweeps.store.stored_plan import read_plan
from scalinglab.sweeps.watch.causes import causes, history


@pytest.fixture
def plan(study):
    plan = make_plan(study())
    save_plan(plan)
    return plan


def fail(run, error: BaseException) -> None:
    try:
        raise error
    except BaseException as raised:
        Claim.acquire(run.folder, 60.0).release("failed", raised)


def test_equal_failures_are_one_cause(plan) -> None:
    runs = read_plan(plan.outputs, "tiny").runs
    for run in runs[:3]:
        fail(run, KeyError(run.run_id))
    Claim.acquire(runs[3].folder, 60.0).release("failed", MemoryError("no more"))
    fail(runs[2], KeyError("again"))
    found = causes(plan.outputs, "tiny")
    assert list(found["class"]) == ["user_error", "host_oom"]
    assert found["runs"][0] == [r.run_id for r in runs[:3]] and found["attempts"][0] == 4
    assert "raise error" in found["traceback"][0]
    Claim.acquire(runs[3].folder, 60.0).release("interrupted")  # it was tried again since
    assert list(causes(plan.outputs, "tiny")["class"]) == ["user_error"]


def test_no_failure_is_an_empty_table(plan) -> None:
    assert causes(plan.outputs, "tiny").empty


def test_the_history_of_a_run(plan, tmp_path, monkeypatch) -> None:
    log = tmp_path / "worker.log"
    log.write_text("what the worker said\n")
    monkeypatch.setenv("SCALING_LOG", str(log))
    run = read_plan(plan.outputs, "tiny").runs[0]
    claim = Claim.acquire(run.folder, 60.0)
    claim.report({"start": 0, "step": 7})
    claim.release("interrupted")
    fail(run, KeyError("wsd"))
    text = history(run.folder)
    assert "steps 0 to 7; interrupted" in text and "failed user_error" in text
    assert "KeyError: 'wsd'" in text and "what the worker said" in text
