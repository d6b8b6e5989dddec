"""A launch whose place cannot hold one run is refused before anything starts."""

from __future__ import annotations

import pytest

from scaling.config import ConfigError, ExecutionConfig
from scaling.records import machine
from sweeps.launches import LaunchConfig, SlurmConfig
from sweeps.places import check_places


def on_slurm(**slurm) -> LaunchConfig:
    return LaunchConfig("slurm", slurm=SlurmConfig(**slurm))


def test_a_place_that_suits_is_taken(monkeypatch) -> None:
    monkeypatch.setattr(machine, "gpus", lambda: ["0", "1"])
    check_places(LaunchConfig("local"), ExecutionConfig(device="cuda", processes=2))
    check_places(LaunchConfig("local"), ExecutionConfig(processes=64))  # cores may be shared
    check_places(on_slurm(nodes=2, gpus=4), ExecutionConfig(device="cuda", processes=8))
    check_places(on_slurm(nodes=2), ExecutionConfig(processes=4))
    check_places(on_slurm(extra={"gres": "gpu:h100:1"}), ExecutionConfig(device="cuda"))


@pytest.mark.parametrize(("config", "execution", "message"), [
    (LaunchConfig("local"), {"device": "cuda", "processes": 4}, "processes = 4: a run takes"),
    (on_slurm(nodes=2), {"processes": 3}, "launch.slurm.nodes = 2: a run has execution.processes"),
    (on_slurm(nodes=2), {}, "launch.slurm.nodes = 2: a run has execution.processes = 1"),
    (on_slurm(), {"device": "cuda"}, "launch.slurm.gpus = 0: with execution.device = cuda each of"),
    (on_slurm(nodes=2, gpus=1), {"device": "cuda", "processes": 4}, "launch.slurm.gpus = 1"),
    (LaunchConfig("slurm", slurm=SlurmConfig(nodes=2),
                  classes={"big": {"where": "tokens > 1", "nodes": 3}}),
     {"processes": 4}, "launch.classes.big.nodes = 3"),
])
def test_one_that_does_not_is_told(monkeypatch, config, execution, message) -> None:
    monkeypatch.setattr(machine, "gpus", lambda: ["0", "1"])
    with pytest.raises(ConfigError) as caught:
        check_places(config, ExecutionConfig(**execution))
    assert message in str(caught.value)
