"""Where the workers of a machine go, and what becomes of one that hangs."""

from __future__ import annotations

import signal
import subprocess
import sys

import pytest

from scalinglab.scaling.config import ExecutionConfig
from scalinglab.scaling.records import machine
from scalinglab.scaling.records.atomic import read_json, write_json
from scalinglab.scaling.records.claim import Claim
from scalinglab.scaling.records.processes import process_start
from scalinglab.scaling.records.run_folder import RunFolder
from scalinglab.sweeps.config import LaunchConfig
from scalinglab.sweeps.launch.pool import Pool
from scalinglab.sweeps.plan.places import worker_devices
from scalinglab.sweeps.store.launch_record import new_launch
from scalinglab.sweeps.store.stored_plan import read_plan


def test_gpus_that_are_hidden_are_not_used(monkeypatch) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "2,5")
    assert machine.gpus() == ["2", "5"]
    assert worker_devices(LaunchConfig(), ExecutionConfig(device="cuda", threads=1)) == ["2", "5"]
    assert worker_devices(
        LaunchConfig(workers_a_gpu=2), ExecutionConfig(device="cuda", threads=1)
    ) == ["2", "2", "5", "5"]
    assert worker_devices(LaunchConfig(workers=3), ExecutionConfig(device="cuda", threads=1)) == [
        "2",
        "5",
        "2",
    ]
    assert worker_devices(LaunchConfig(workers=3), ExecutionConfig(device="cpu", threads=1)) == [
        None,
        None,
        None,
    ]
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    assert machine.gpus() == []


def test_cores_are_divided_by_threads(monkeypatch) -> None:
    monkeypatch.setattr(machine, "cores", lambda: 8)
    assert len(worker_devices(LaunchConfig(), ExecutionConfig(device="cpu", threads=2))) == 4
    assert len(worker_devices(LaunchConfig(), ExecutionConfig(device="cpu", threads=16))) == 1


def test_a_worker_whose_runs_take_several_processes_has_as_many_gpus_or_cores(monkeypatch) -> None:
    monkeypatch.setattr(machine, "cores", lambda: 8)
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "0,1,2,3,4")
    assert worker_devices(
        LaunchConfig(), ExecutionConfig(device="cuda", threads=1, processes=2)
    ) == ["0,1", "2,3"]
    assert worker_devices(
        LaunchConfig(), ExecutionConfig(device="cuda", threads=1, processes=8)
    ) == [None]  # the run says what it lacks
    assert (
        len(worker_devices(LaunchConfig(), ExecutionConfig(device="cpu", threads=2, processes=2)))
        == 2
    )


class Workers:
    """Stand-ins for worker processes: each a script in a process of its own."""

    def __init__(self, monkeypatch, *lines: str) -> None:
        self.started: list[subprocess.Popen[bytes]] = []
        self.lines = list(lines)
        monkeypatch.setattr(Pool, "_spawn", lambda pool, number: self._start())

    def _start(self) -> subprocess.Popen[bytes]:
        # One that ignores SIGTERM says so before anybody asks it.
        line = self.lines.pop(0) if self.lines else "pass"
        process = subprocess.Popen(
            [sys.executable, "-Sc", f"import signal, time, os\n{line}"],
            stdout=subprocess.PIPE,
            start_new_session=True,
        )
        if "print" in line:
            assert process.stdout.readline()
        process.stdout.close()
        self.started.append(process)
        return process


@pytest.fixture
def pool(plan, tmp_path, monkeypatch) -> Pool:
    """A pool of two workers that looks often and has little patience."""
    for name, seconds in (("HANG_SECONDS", 0.05), ("STOP_SECONDS", 0.3)):
        monkeypatch.setattr(f"scalinglab.sweeps.launch.pool.{name}", seconds)
    stored = read_plan(plan.outputs, "tiny")
    config = LaunchConfig(workers=2, poll_seconds=0.01)
    found = Pool(new_launch(plan.outputs, "tiny", config, stored.runs, tmp_path), stored)
    found.lease_seconds = 0.0
    return found


def hold(folder: RunFolder, pid: int, start: object) -> None:
    """Claim a run as a process would, and beat no more."""
    claim = Claim.acquire(folder, 1e-3)
    claim._stop.set()
    file = folder.attempt_file(1, "json")
    write_json(file, read_json(file) | {"pid": pid, "process_start": start})


SLEEPS = "time.sleep(600)"
DEAF = f"signal.signal(signal.SIGTERM, signal.SIG_IGN); print(flush=True); {SLEEPS}"
STOPPED = "os.kill(os.getpid(), signal.SIGSTOP)"


def test_a_stopped_worker_does_not_hold_a_launch_of_which_nothing_is_left(
    pool, monkeypatch, caplog
) -> None:
    workers = Workers(monkeypatch, STOPPED, DEAF)
    pool.run(lambda: False, lambda: None, lambda: True)
    assert [w.returncode for w in workers.started] == [-signal.SIGTERM, -signal.SIGKILL]
    assert f"process {workers.started[0].pid}) does not leave: it is asked to end" in caplog.text
    assert (
        f"process {workers.started[1].pid}) does not end within 0.3 s: it is killed" in caplog.text
    )
    assert len(workers.started) == 2  # none was put in their places


def test_a_worker_that_is_slow_to_leave_is_not_asked_to_end(pool, monkeypatch, caplog) -> None:
    """As one whose torch is unloaded on a busy machine: it computes."""
    monkeypatch.setattr("scalinglab.sweeps.launch.pool.STOP_SECONDS", 30.0)
    monkeypatch.setattr("scalinglab.sweeps.launch.pool.HANG_SECONDS", 0.4)
    busy = "end = time.process_time() + 1.2\nwhile time.process_time() < end: pass"
    workers = Workers(monkeypatch, busy, "pass")
    pool.run(lambda: False, lambda: None, lambda: True)
    assert [w.returncode for w in workers.started] == [0, 0]
    assert "does not leave" not in caplog.text


def test_as_long_as_runs_are_left_workers_are_left_alone(pool, monkeypatch) -> None:
    workers = Workers(monkeypatch, "time.sleep(0.5)", "time.sleep(0.5)")
    folder = pool.runs[0].folder
    start = workers._start

    def begin() -> subprocess.Popen[bytes]:
        process = start()
        if len(workers.started) == 1:  # its number was that of a worker that was killed long ago
            hold(folder, process.pid, start="long ago")
        return process

    monkeypatch.setattr(workers, "_start", begin)
    pool.run(lambda: False, lambda: None, lambda: False)
    assert [w.returncode for w in workers.started] == [0, 0]


@pytest.mark.parametrize(("line", "code"), [(STOPPED, -signal.SIGTERM), (DEAF, -signal.SIGKILL)])
def test_a_worker_that_holds_a_run_beyond_its_lease_is_replaced(
    pool, plan, monkeypatch, caplog, line, code
) -> None:
    workers = Workers(monkeypatch, line)
    folder = read_plan(plan.outputs, "tiny").runs[0].folder
    start = workers._start

    def begin() -> subprocess.Popen[bytes]:
        process = start()
        if len(workers.started) == 1:
            hold(folder, process.pid, process_start(process.pid))  # before it stopped
        return process

    monkeypatch.setattr(workers, "_start", begin)
    pool.run(lambda: False, lambda: None, lambda: False)
    assert workers.started[0].returncode == code and len(workers.started) == 3
    assert "has not answered for longer than its lease" in caplog.text
