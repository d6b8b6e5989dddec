"""At most one process trains a run, and a run is finished at most once."""

import json
import os
import signal
import time

import pytest

from scalinglab.scaling.records.atomic import read_json
from scalinglab.scaling.records.claim import BEATS_A_LEASE, HUNG, Claim, ClaimLost

FILES = {"record": "record.json", "curve": "curve.csv"}

# What the processes of the tests do; exec runs it in a process that has imported the trainer.
NAMES = {"Claim": Claim}
ACQUIRE_AND_HOLD = "Claim.acquire(folder, lease); held.set(); import time; time.sleep(100)"
RACE = """
barrier.wait()
claim = Claim.acquire(folder, 60)
won.put(claim is not None)
barrier.wait()  # all have tried before anyone lets go
if claim:
    claim.release("interrupted")
"""


@pytest.fixture
def folder(make_run):
    folder = make_run()
    for name in FILES.values():
        (folder.path / name).write_text("{}")
    return folder


@pytest.fixture
def holder(folder, processes):
    """Start a process that claims the run and holds it."""
    started = []

    def start(lease=60.0):
        held = processes.Event()
        names = NAMES | {"folder": folder, "lease": lease, "held": held}
        process = processes.Process(target=exec, args=(ACQUIRE_AND_HOLD, names))
        process.start()
        assert held.wait(30)
        started.append(process)
        return process

    yield start
    for process in started:
        process.kill()
        process.join()


def expire(folder, number):
    """Let an attempt's last heartbeat lie far back, as if its process had been paused."""
    os.utime(folder.attempt_file(number, "beat"), (1, 1))


def test_a_training_that_hangs_ends_its_process_and_says_where(folder, processes):
    hang = "c = Claim.acquire(folder, .3); c.expect_reports(.5); import time; time.sleep(100)"
    process = processes.Process(target=exec, args=(hang, NAMES | {"folder": folder}))
    process.start()
    process.join(30)
    assert process.exitcode == HUNG
    end = folder.attempt(1).end
    assert end.cause == "infra" and "no progress for 0.5 s" in end.error
    assert 'File "<string>"' in end.traceback  # where it slept
    assert Claim.acquire(folder, 60).number == 2  # at once


def test_a_training_that_reports_is_not_taken_to_hang(folder):
    claim = Claim.acquire(folder, 0.12)
    claim.expect_reports(0.5)
    for step in range(8):
        time.sleep(0.1)
        claim.report({"step": step})
    claim.release("interrupted")
    assert folder.attempt(1).end.reason == "interrupted"


# ---------------------------------------------------------------------- acquiring


def test_of_many_processes_exactly_one_wins(make_run, processes):
    """Ten rounds on ten runs, and then ten more in which each was interrupted before."""
    count, rounds = 4, 10
    folders = [make_run({"seed": seed}) for seed in range(rounds)] * 2
    barrier, won = processes.Barrier(count), processes.Queue()
    names = NAMES | {"barrier": barrier, "won": won, "folders": folders}
    script = "for folder in folders:" + RACE.replace("\n", "\n ")
    racers = [processes.Process(target=exec, args=(script, names)) for _ in range(count)]
    for racer in racers:
        racer.start()
    wins = [won.get(timeout=600) for _ in range(count * len(folders))]
    for racer in racers:
        racer.join()
    assert sum(wins) == len(folders)
    assert all(folder.latest_attempt().number == 2 for folder in folders)


def test_a_live_holder_keeps_the_run(folder, holder):
    holder()
    assert Claim.acquire(folder, 60) is None
    assert folder.latest_attempt().number == 1


def test_a_dead_process_of_this_host_loses_it_at_once(folder, holder):
    process = holder(lease=3600)
    process.kill()
    process.join()
    claim = Claim.acquire(folder, 60)
    assert claim is not None and claim.number == 2
    claim.release("interrupted")


def test_a_killed_process_that_nobody_has_waited_for_is_dead_too(folder, holder):
    process = holder(lease=3600)
    os.kill(process.pid, signal.SIGKILL)
    while folder.state() == "running":
        time.sleep(0.01)
    claim = Claim.acquire(folder, 60)
    assert claim is not None
    claim.release("interrupted")


def test_a_paused_holder_loses_it_when_its_lease_ends(folder, holder):
    process = holder(lease=0.6)
    os.kill(process.pid, signal.SIGSTOP)
    assert Claim.acquire(folder, 60) is None
    time.sleep(0.8)
    claim = Claim.acquire(folder, 60)
    assert claim is not None and claim.number == 2
    claim.release("interrupted")


def test_a_holder_that_beats_outlives_its_lease(folder):
    claim = Claim.acquire(folder, 0.3)
    time.sleep(0.7)
    assert Claim.acquire(folder, 0.3) is None
    claim.release("interrupted")
    assert BEATS_A_LEASE >= 3  # a late beat or two must not lose a run


def test_a_finished_run_is_never_claimed(folder):
    Claim.acquire(folder, 60).finish("done", 3, FILES)
    assert Claim.acquire(folder, 60) is None
    assert folder.latest_attempt().number == 1


# ---------------------------------------------------------------------- losing


def test_the_old_holder_notices_that_it_was_superseded(folder):
    old = Claim.acquire(folder, 60)
    old.check()
    expire(folder, 1)
    new = Claim.acquire(folder, 60)
    assert not old.is_current() and new.is_current()
    with pytest.raises(ClaimLost, match=r"attempt 1 was superseded"):
        old.check()
    old.release("lost")
    new.release("interrupted")


def test_the_old_holder_cannot_finish(folder):
    old = Claim.acquire(folder, 60)
    expire(folder, 1)
    new = Claim.acquire(folder, 60)
    with pytest.raises(ClaimLost):
        old.finish("done", 3, FILES)
    assert folder.done() is None
    assert new.finish("done", 3, FILES)
    assert folder.done().attempt == 2
    old.release("lost")


def test_there_is_one_done_even_if_both_get_past_the_check(folder):
    """The old holder was paused between its check and its DONE."""
    old = Claim.acquire(folder, 60)
    expire(folder, 1)
    new = Claim.acquire(folder, 60)
    assert new.finish("done", 3, FILES)
    content = folder.done_file.read_bytes()
    old.check = lambda: None  # it had passed already
    assert old.finish("diverged", 2, FILES) is False
    assert folder.done_file.read_bytes() == content
    assert json.loads(folder.attempt_file(1, "end").read_text())["reason"] == "lost"


# ---------------------------------------------------------------------- ending


def test_done_names_one_attempt_its_files_and_their_hashes(folder):
    claim = Claim.acquire(folder, 60)
    (folder.path / "record.json").write_text("[1]")
    claim.finish("done", 17, FILES)
    done = folder.done()
    assert (done.attempt, done.status, done.steps) == (1, "done", 17)
    assert (done.record, done.curve) == ("record.json", "curve.csv")
    assert done.sha256["record.json"] == (
        "080a9ed428559ef602668b4c00f114f1a11c3f6b02a435f0bdc154578e4d7f22"
    )
    assert (
        read_json(folder.path / folder.done().record) == [1]
        and folder.curve_file().read_text() == "{}"
    )


def test_done_without_its_files_is_not_written(folder):
    claim = Claim.acquire(folder, 60)
    with pytest.raises(FileNotFoundError):
        claim.finish("done", 3, {"record": "absent.json", "curve": "curve.csv"})
    assert folder.done() is None
    claim.release("failed")


def test_a_failure_leaves_its_traceback(folder):
    claim = Claim.acquire(folder, 60)
    try:
        raise ZeroDivisionError("the reason")
    except ZeroDivisionError as error:
        claim.release("failed", error)
    end = folder.latest_attempt().end
    assert end.reason == "failed" and end.error == "ZeroDivisionError: the reason"
    assert "test_a_failure_leaves_its_traceback" in end.traceback


def test_after_release_the_heart_stands_still(folder):
    claim = Claim.acquire(folder, 0.12)
    claim.release("interrupted")
    beat = folder.attempt_file(1, "beat").stat().st_mtime_ns
    time.sleep(0.1)
    assert folder.attempt_file(1, "beat").stat().st_mtime_ns == beat


def test_the_next_life_of_a_requeued_job_need_not_wait_for_its_lease(folder, monkeypatch):
    monkeypatch.setenv("SLURM_JOB_ID", "71")
    monkeypatch.setenv("SLURM_ARRAY_JOB_ID", "70")
    monkeypatch.setenv("SLURM_ARRAY_TASK_ID", "3")
    first = Claim.acquire(folder, 1000.0)  # killed without a word; its host still shows it alive
    assert first.folder.attempt(1).owner.job == ("70_3", 0)
    assert Claim.acquire(folder, 1000.0) is None
    monkeypatch.setenv("SLURM_ARRAY_TASK_ID", "4")  # a sibling must wait
    monkeypatch.setenv("SLURM_RESTART_COUNT", "1")
    assert Claim.acquire(folder, 1000.0) is None
    monkeypatch.setenv("SLURM_ARRAY_TASK_ID", "3")
    second = Claim.acquire(folder, 1000.0)
    assert second.number == 2
    with pytest.raises(ClaimLost):
        first.check()
    first.release("lost")
    second.release("interrupted")


def test_a_person_can_ask_a_holder_to_leave(folder):
    claim = Claim.acquire(folder, 60.0)
    assert not claim.is_cancelled()
    folder.attempt_file(1, "cancel").touch()
    assert claim.is_cancelled()
    claim.release("cancelled")
    assert not Claim.acquire(folder, 60.0).is_cancelled()  # the next attempt is another one
