"""Where the workers of a machine go."""

from __future__ import annotations

from scaling.records import machine
from sweeps.launches import LaunchConfig
from sweeps.pool import slots


def test_gpus_that_are_hidden_are_not_used(monkeypatch) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "2,5")
    assert machine.gpus() == ["2", "5"]
    assert slots(LaunchConfig(), "cuda", 1) == ["2", "5"]
    assert slots(LaunchConfig(workers_a_gpu=2), "cuda", 1) == ["2", "2", "5", "5"]
    assert slots(LaunchConfig(workers=3), "cuda", 1) == ["2", "5", "2"]
    assert slots(LaunchConfig(workers=3), "cpu", 1) == [None, None, None]
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    assert machine.gpus() == []


def test_cores_are_divided_by_threads(monkeypatch) -> None:
    monkeypatch.setattr(machine, "cores", lambda: 8)
    assert len(slots(LaunchConfig(), "cpu", 2)) == 4
    assert len(slots(LaunchConfig(), "cpu", 16)) == 1


def test_a_worker_whose_runs_take_several_processes_has_as_many_gpus_or_cores(monkeypatch) -> None:
    monkeypatch.setattr(machine, "cores", lambda: 8)
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "0,1,2,3,4")
    assert slots(LaunchConfig(), "cuda", 1, processes=2) == ["0,1", "2,3"]
    assert slots(LaunchConfig(), "cuda", 1, processes=8) == [None]  # the run says what it lacks
    assert len(slots(LaunchConfig(), "cpu", 2, processes=2)) == 2
