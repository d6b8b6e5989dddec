"""A pack is one task of an array, and a task that is killed loses none of its members."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest

from scalinglab.scaling.records.run_folder import RunFolder
from scalinglab.sweeps.config import LaunchConfig
from scalinglab.sweeps.launch.launch import launch
from scalinglab.sweeps.launch.submissions import read_submissions
from scalinglab.sweeps.plan.make import make_plan
from scalinglab.sweeps.plan.save import save_plan
from scalinglab.sweeps.store.launch_record import read_launches

pytestmark = pytest.mark.slurm
SWEEP = [
    "~study.blocks.curves",
    "study.blocks.ladder.grid.model.width=[8]",
    "study.blocks.ladder.grid.tokens=[76800]",
    "data.max_epochs=10",
    "+study.blocks.ladder.grid.optimizer={lr: [1e-3, 2e-3, 4e-3, 8e-3, 12e-3, 16e-3]}",
    "execution.checkpoint_seconds=0.5",
    "execution.lease_seconds=12",
]


def test_two_packs_are_two_tasks_and_a_kill_costs_no_bit(study, tmp_path, cluster, curves) -> None:
    plan = make_plan(study(*SWEEP, f"outputs={tmp_path}/undisturbed"))
    save_plan(plan)
    assert launch(plan.outputs, "tiny", LaunchConfig("inline", pack=3))
    outputs = tmp_path / "outputs"
    jobs = [job for job in cluster.jobs if not job.startswith("launch.pack")]
    launcher = cluster.start("launch", "study=tiny", *SWEEP, *jobs, "launch.pack=3")
    cluster.wait_for(lambda: list(outputs.glob("checkpoints/*/*.*.pt")), 240, "a checkpoint")
    victims = {f.latest_attempt().owner.pid for f in running(outputs)}
    os.kill(victims.pop(), signal.SIGKILL)
    out, _ = launcher.communicate(timeout=400)
    assert launcher.returncode == 0, out
    assert curves(outputs) == curves(plan.outputs)
    records = [RunFolder(p).record() for p in outputs.glob("runs/*")]
    assert [r.throughput.members for r in records] == [3] * 6
    assert max({r.attempt for r in records}) > 1
    (begun,) = read_launches(outputs, "tiny")
    assert (
        sum(s.tasks for s in read_submissions(begun)) <= 4
    )  # two packs, and what replaced the killed


def running(outputs: Path) -> list[RunFolder]:
    return [f for f in map(RunFolder, outputs.glob("runs/*")) if f.state() == "running"]
