"""A launch whose place cannot hold one run is refused before anything starts."""

from __future__ import annotations

import pytest

from scalinglab.scaling.config import ExecutionConfig
from scalinglab.scaling.errors import ConfigError
from scalinglab.scaling.records import machine
from scalinglab.sweeps.config import LaunchConfig, SlurmConfig
from scalinglab.sweeps.plan.places import about_idle_gpus, check_places


def on_slurm(**slurm) -> LaunchConfig:
    return LaunchConfig("slurm", slurm=SlurmConfig(**slurm))


def test_a_place_that_suits_is_taken(monkeypatch) -> None:
    monkeypatch.setattr(machine, "gpus", lambda: ["0", "1"])
    check_places(LaunchConfig("local"), ExecutionConfig(device="cuda", processes=2))
    check_places(LaunchConfig("local"), ExecutionConfig(processes=64))  # cores may be shared
    check_places(on_slurm(nodes=2, gpus=4), ExecutionConfig(device="cuda", processes=8))
    check_places(on_slurm(nodes=2), ExecutionConfig(processes=4))
    check_places(on_slurm(extra={"gres": "gpu:h100:1"}), ExecutionConfig(device="cuda"))


@pytest.mark.parametrize(
    ("config", "execution", "message"),
    [
        (LaunchConfig("local"), {"device": "cuda", "processes": 4}, "processes = 4: a run takes"),
        (
            on_slurm(nodes=2),
            {"processes": 3},
            "launch.slurm.nodes = 2: a run has execution.processes",
        ),
        (on_slurm(nodes=2), {}, "launch.slurm.nodes = 2: a run has execution.processes = 1"),
        (
            on_slurm(),
            {"device": "cuda"},
            "launch.slurm.gpus = 0: with execution.device = cuda each of",
        ),
        (on_slurm(nodes=2, gpus=1), {"device": "cuda", "processes": 4}, "launch.slurm.gpus = 1"),
        (
            LaunchConfig(
                "slurm",
                slurm=SlurmConfig(nodes=2),
                classes={"big": {"where": "tokens > 1", "nodes": 3}},
            ),
            {"processes": 4},
            "launch.classes.big.nodes = 3",
        ),
        (on_slurm(gpus=1), {}, "launch.slurm.gpus = 1: with execution.device = cpu runs train on"),
        (
            LaunchConfig("slurm", classes={"big": {"where": "N > 1", "gpus": 8}}),
            {},
            "set launch.classes.big.gpus=0",
        ),
    ],
)
def test_one_that_does_not_is_told(monkeypatch, config, execution, message) -> None:
    monkeypatch.setattr(machine, "gpus", lambda: ["0", "1"])
    with pytest.raises(ConfigError) as caught:
        check_places(config, ExecutionConfig(**execution))
    assert message in str(caught.value)


def test_gpus_that_no_process_takes_are_named() -> None:
    cuda = ExecutionConfig(device="cuda", processes=4)
    assert about_idle_gpus(on_slurm(gpus=2, nodes=2), cuda) == []
    assert about_idle_gpus(LaunchConfig("local"), cuda) == []
    (idle,) = about_idle_gpus(on_slurm(gpus=8), cuda)
    assert idle.startswith("launch.slurm.gpus = 8: ") and "on 4 of them" in idle
    (idle,) = about_idle_gpus(on_slurm(extra={"gres": "gpu:1"}), ExecutionConfig())
    assert "launch.slurm.extra asks for GPUs, which stand idle" in idle
    theirs = ExecutionConfig(command=["train"])  # a program chooses its device itself
    check_places(on_slurm(gpus=8), theirs)
    assert about_idle_gpus(on_slurm(gpus=8), theirs) == []
