"""Each kind of failure has its own rule of trying again."""

from __future__ import annotations

import errno

import pytest

from scalinglab.scaling.records.claim import Claim
from scalinglab.scaling.records.failures import classify, signature
from scalinglab.sweeps.launch.retry import bad_nodes, tripped, verdict
from scalinglab.sweeps.plan.make import make_plan
from scalinglab.sweeps.plan.save import save_plan
from scalinglab.sweeps.store.stored_plan import read_plan


def attempt(folder, error: BaseException | None = None, reason: str = "failed", step: int = 0):
    """One attempt that got to a step and ended."""
    claim = Claim.acquire(folder, 60.0)
    if step:
        claim.report({"step": step})
    claim.release(reason, error)


def raised(line: str) -> BaseException:
    """An exception with a traceback, raised by code compiled from `line`."""
    try:
        exec(compile(line, "some_file.py", "exec"), {})
    except BaseException as error:
        return error
    raise AssertionError(line)


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (type("OutOfMemoryError", (RuntimeError,), {})("CUDA out of memory"), "gpu_oom"),
        (RuntimeError("CUDA error: out of memory"), "gpu_oom"),
        (RuntimeError("CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling"), "gpu_oom"),
        (RuntimeError("CUDA error: device-side assert triggered"), "infra"),
        (MemoryError(), "host_oom"),
        (RuntimeError("[enforce fail] can't allocate memory: 8 bytes"), "host_oom"),
        (OSError(errno.ESTALE, "Stale file handle"), "infra"),
        (OSError(errno.ENOSPC, "No space left on device"), "infra"),
        (ConnectionResetError("peer"), "infra"),
        (RuntimeError("CUDA driver initialization failed"), "infra"),
        (FileNotFoundError(errno.ENOENT, "no such file"), "user_error"),
        (KeyError("wsd"), "user_error"),
    ],
)
def test_classes(error: BaseException, kind: str) -> None:
    assert classify(error) == kind


def test_equal_failures_have_one_signature_whatever_they_say() -> None:
    first, second = raised("raise KeyError('a')"), raised("raise KeyError('b')")
    assert signature(first) == signature(second)
    assert signature(first) != signature(raised("\nraise KeyError('a')"))


def test_a_mistake_is_not_tried_again_before_the_next_launch(make_run) -> None:
    folder = make_run()
    attempt(folder, KeyError("wsd"))
    assert verdict(folder, 0.0).when == "never"
    assert verdict(folder, folder.latest_attempt().end.ended + 1).when == "now"


def test_machinery_gets_a_pause_and_three_tries(make_run) -> None:
    folder = make_run()
    attempt(folder, ConnectionError())
    assert verdict(folder, 0.0).when == "later"
    attempt(folder, ConnectionError())
    attempt(folder, ConnectionError())
    assert verdict(folder, 0.0).when == "never"


def test_being_interrupted_is_no_fault_as_long_as_the_run_gets_on(make_run) -> None:
    folder = make_run()
    for step in range(1, 10):
        attempt(folder, reason="interrupted", step=step)
        assert verdict(folder, 0.0).when == "now"
    for _ in range(3):
        assert verdict(folder, 0.0).when == "now"
        attempt(folder, reason="interrupted", step=9)
    assert verdict(folder, 0.0).when == "never"


def test_cancelled_runs_wait_for_the_next_launch(make_run) -> None:
    folder = make_run()
    attempt(folder, reason="cancelled", step=3)
    assert verdict(folder, 0.0).why == "cancelled"
    assert verdict(folder, folder.latest_attempt().end.ended + 1).when == "now"


@pytest.fixture
def runs(study):
    plan = make_plan(study())
    save_plan(plan)
    return read_plan(plan.outputs, "tiny").runs


def test_the_breaker_opens_on_the_same_mistake_in_three_runs(runs) -> None:
    for count, run in enumerate(runs[:3]):
        assert tripped(runs, 0.0) is None
        attempt(run.folder, raised(f"raise KeyError('run {count}')"))
    assert "3 runs failed alike" in tripped(runs, 0.0)
    assert tripped(runs, runs[2].folder.latest_attempt().end.ended + 1) is None


def test_the_breaker_stays_shut_on_different_mistakes(runs) -> None:
    for count, run in enumerate(runs[:4]):
        attempt(run.folder, raised("\n" * count + "raise KeyError('x')"))
    assert tripped(runs, 0.0) is None


def test_a_canary_that_fails_is_enough_until_something_gets_somewhere(runs) -> None:
    attempt(runs[0].folder, raised("raise KeyError('x')"))
    assert tripped(runs, 0.0, canary=True) is not None
    attempt(runs[1].folder, reason="interrupted", step=5)
    assert tripped(runs, 0.0, canary=True) is None


def test_a_node_on_which_attempts_vanish_is_named(runs, monkeypatch) -> None:
    monkeypatch.setenv("SLURMD_NODENAME", "gpu-11")
    for run in runs[:3]:
        claim = Claim.acquire(run.folder, 1e-3)
        claim._stop.set()  # killed: no word of how it ended
        claim._thread.join()
    monkeypatch.setattr("scalinglab.scaling.records.processes.process_start", lambda pid: None)
    assert bad_nodes(runs, 0.0) == ["gpu-11"]
    attempt(runs[3].folder, reason="interrupted", step=2)  # it can train: it merely preempts
    assert bad_nodes(runs, 0.0) == []


def test_one_run_that_dies_again_and_again_blames_no_node(runs, monkeypatch) -> None:
    for _ in range(4):
        attempt(runs[0].folder, ConnectionError())
    assert bad_nodes(runs, 0.0) == []
    for run in runs[1:3]:
        attempt(run.folder, ConnectionError())
    assert bad_nodes(runs, 0.0) == [runs[0].folder.attempt(1).owner.node]


def test_a_program_that_does_not_say_how_far_it_is_may_meet_its_limit_often(
    make_run, monkeypatch
) -> None:
    folder = make_run()
    monkeypatch.setattr("scalinglab.sweeps.launch.retry.PROGRESS_SECONDS", -1.0)
    for _ in range(5):
        attempt(folder, reason="interrupted")
        assert verdict(folder, 0.0).when == "now"


def test_the_smallest_micro_batch_is_not_tried_again(make_run) -> None:
    folder = make_run()
    full = type("OutOfMemoryError", (RuntimeError,), {})("CUDA out of memory")
    Claim.acquire(folder, 60.0).release("failed", full, micro_batch=2)
    assert verdict(folder, 0.0).when == "now"
    Claim.acquire(folder, 60.0).release("failed", full, micro_batch=1)
    assert verdict(folder, 0.0).when == "never"
