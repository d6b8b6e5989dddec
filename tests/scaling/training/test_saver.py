"""Saving takes a small part of the time, and what is written meanwhile is as good as what was."""

from __future__ import annotations

import errno
import itertools
import threading
import time
from types import SimpleNamespace

import pytest

from scalinglab.scaling.engine.trainer import loop
from scalinglab.scaling.engine.trainer.loop import Training
from scalinglab.scaling.training import saver
from scalinglab.scaling.training.saver import LONGEST, SHARE, Saver

LARGE = 2**40


@pytest.fixture
def clock(monkeypatch):
    """A clock that only moves when it is told to, and a thread's that never does."""
    now = SimpleNamespace(seconds=0.0)
    monkeypatch.setattr(
        saver, "time", SimpleNamespace(monotonic=lambda: now.seconds, thread_time=lambda: 0.0)
    )
    return now


@pytest.mark.parametrize(
    ("cost", "interval"), [(0.0, 30.0), (0.5, 30.0), (2.0, 2.0 / SHARE), (60.0, 30.0 * LONGEST)]
)
def test_the_interval_follows_the_cost_of_the_last_save(clock, cost, interval) -> None:
    writes = Saver(30.0)
    assert not writes.is_due()
    clock.seconds = 30.0
    assert writes.is_due()

    def write() -> str:
        clock.seconds += cost
        return "written"

    writes.restart()
    writes.start(write, size=0, began=clock.seconds)
    assert not writes.is_due() and writes.settle() == "written"
    assert writes.interval == pytest.approx(interval)
    clock.seconds = 30.0 + interval - 1e-6
    assert not writes.is_due()
    clock.seconds = 30.0 + max(interval, cost)
    assert writes.is_due()


def test_a_thread_writes_what_is_large_and_nothing_else_meanwhile() -> None:
    go, writes = threading.Event(), Saver(0.0)
    writes.start(lambda: (go.wait(60), threading.current_thread())[1], LARGE, time.monotonic())
    assert writes.settle() is None and not writes.is_due()
    go.set()
    assert writes.settle(wait=True) is not threading.current_thread()
    assert writes.settle(wait=True) is None and writes.is_due()


def test_where_others_take_part_no_thread_writes() -> None:
    writes = Saver(0.0, aside=False)
    writes.start(threading.current_thread, LARGE, time.monotonic())
    assert writes.settle() is threading.current_thread()


def test_what_a_thread_raises_is_raised_where_it_is_asked_for() -> None:
    def full() -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    writes = Saver(0.0)
    writes.start(full, LARGE, time.monotonic())
    with pytest.raises(OSError, match="No space"):
        writes.settle(wait=True)
    writes.drop()
    assert writes.is_due()


# ---------------------------------------------------------------------- in a training


@pytest.fixture
def slow_disk(monkeypatch):
    """Every checkpoint is written by a thread, and takes its time."""
    monkeypatch.setattr(saver, "ASIDE_BYTES", 0)
    monkeypatch.setattr(loop, "CHUNK_SECONDS", 1e-9)
    write = Training.write

    def slowly(self, path, member, checkpoint):
        assert threading.current_thread() is not threading.main_thread()
        time.sleep(0.02)
        return write(self, path, member, checkpoint)

    monkeypatch.setattr(Training, "write", slowly)


OFTEN = {"execution.checkpoint_seconds": 1e-6}


def test_what_is_written_while_training_goes_on_is_the_state_of_its_step(
    make_run, train_run, elsewhere, curve_of, slow_disk, monkeypatch
) -> None:
    """Killed some chunks after a snapshot: the run goes on from it to the same bits."""

    class Killed(BaseException):
        """Nothing is done after it, as after kill -9."""

    folder = make_run(OFTEN)
    asked = itertools.count(1)

    def killed() -> bool:
        if next(asked) > 20 and folder.progress(1).saved:
            raise Killed
        return False

    with monkeypatch.context() as patch:
        patch.setattr(Training, "abandon", lambda *ignored: None)
        with pytest.raises(Killed):
            train_run(folder, should_stop=killed)
    saved, step = folder.progress(1).saved, folder.progress(1).step
    assert 0 < saved < step
    folder.attempt_file(1, "end").write_text('{"reason": "interrupted", "ended": 0}')
    assert train_run(folder) == "done"
    assert folder.record().started_at_step >= saved
    assert curve_of(folder) == curve_of(elsewhere())


def test_done_comes_after_the_last_checkpoint(make_run, train_run, slow_disk, monkeypatch) -> None:
    folder, there = make_run(OFTEN), []
    finish = loop.finish

    def look(*arguments):
        there.extend(p.name for p in folder.outputs.glob("checkpoints/*/00000040-*.pt"))
        return finish(*arguments)

    monkeypatch.setattr(loop, "finish", look)
    assert train_run(folder) == "done" and there
    left = sorted(p.name for p in folder.outputs.glob("checkpoints/*/*.pt"))
    assert all(folder.run_id not in name for name in left)  # its latest is gone


def test_a_full_disk_is_told_and_costs_nothing(
    make_run, train_run, elsewhere, curve_of, monkeypatch
) -> None:
    monkeypatch.setattr(saver, "ASIDE_BYTES", 0)
    folder, write = make_run(OFTEN), Training.write

    def full(self, path, member, checkpoint):
        if checkpoint.step >= 30:
            raise OSError(errno.ENOSPC, "No space left on device", str(path))
        return write(self, path, member, checkpoint)

    with monkeypatch.context() as disk:
        disk.setattr(Training, "write", full)
        assert train_run(folder) == "failed"
    end = folder.latest_attempt().end
    assert end.cause == "infra" and "No space left" in end.error and "full" in end.traceback
    assert train_run(folder) == "done"
    assert folder.record().started_at_step > 0
    assert curve_of(folder) == curve_of(elsewhere())


def test_an_interrupted_run_has_saved_its_last_step(make_run, train_run, slow_disk) -> None:
    folder = make_run(OFTEN)
    asked = itertools.count(1)
    assert train_run(folder, should_stop=lambda: next(asked) >= 12) == "interrupted"
    said = folder.progress(1)
    assert said.saved == said.step
