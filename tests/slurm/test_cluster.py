"""What a person meets on a cluster: refusals, edits, cancelling, limits, several nodes."""

from __future__ import annotations

import json
import os
import signal
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from scalinglab.scaling.records.run_folder import RunFolder
from scalinglab.sweeps.store.launch_record import read_launches
from scalinglab.sweeps.store.state import states
from scalinglab.sweeps.store.stored_plan import read_plan

pytestmark = pytest.mark.slurm
ONE = [
    "study.blocks.ladder.grid.tokens=[76800]",
    "study.blocks.ladder.grid.model.width=[8]",
    "~study.blocks.curves",
    "data.max_epochs=10",
    "execution.checkpoint_seconds=0.5",
    "execution.lease_seconds=12",
]

ROOT = Path(__file__).parents[2]
# Leaves a curve and the PYTHONPATH that it was started with.
PROGRAM = """
import json, os, pathlib, sys
config = json.loads(pathlib.Path(sys.argv[1]).read_text())
folder = pathlib.Path(config["folder"])
rows = [f"{step},2.0" for step in range(1, config["steps"] + 1)]
(folder / "curve.csv").write_text("\\n".join(["step,loss", *rows]) + "\\n")
(folder / "final.json").write_text(json.dumps(
    {"validation_loss": 2.0, "path": os.environ.get("PYTHONPATH")}))
"""


def test_a_wrong_partition_is_told_before_anything_is_planned(study, tmp_path, cluster) -> None:
    code, out = cluster.run("launch", "study=tiny", *cluster.jobs, "launch.slurm.partition=gpuu")
    assert code == 2 and "invalid partition" in out.lower() and "launch.slurm" in out
    assert not (tmp_path / "outputs" / "studies").exists()
    code, out = cluster.run(
        "launch", "study=tiny", *cluster.jobs, "+launch.classes.big={where: 'N > 1000', gpus: 64}"
    )
    assert code == 2 and "launch.classes.big.gpus = 64 (a node of the partition cpu has" in out


def test_without_a_watcher_the_jobs_go_on_alone(study, tmp_path, cluster) -> None:
    code, out = cluster.run("launch", "study=tiny", *ONE, *cluster.jobs, "launch.watch=false")
    assert code == 0 and "submitted" in out
    outputs = tmp_path / "outputs"
    cluster.wait_for(lambda: list(outputs.glob("runs/*/DONE")), 180, "the run is done")
    code, out = cluster.run("launch", "study=tiny", *ONE, *cluster.jobs)
    assert code == 0 and "nothing is left to train" in out


def test_code_that_is_edited_after_submission_is_not_run(study, tmp_path, cluster) -> None:
    code, out = cluster.run(
        "launch",
        "study=tiny",
        *ONE,
        *cluster.jobs,
        "launch.watch=false",
        "+launch.slurm.extra.begin=now+5",
    )
    assert code == 0, out
    launch = read_launches(tmp_path / "outputs", "tiny")[0]
    assert Path(launch.code).is_relative_to(tmp_path / "outputs" / "code")
    # Code of today in the folder where the person works, which Python would look into first.
    (tmp_path / "sweeps").mkdir()
    (tmp_path / "sweeps" / "__init__.py").write_text("raise SystemExit('edited')")
    cluster.wait_for(lambda: list(launch.outputs.glob("runs/*/DONE")), 180, "the run is done")


def test_cancelling_saves_and_nothing_returns_to_the_queue(study, tmp_path, cluster) -> None:
    outputs = tmp_path / "outputs"
    launcher = cluster.start("launch", "study=tiny", *cluster.runs, *cluster.jobs)
    cluster.wait_for(lambda: list(outputs.glob("checkpoints/*/*.*.pt")), 180, "a checkpoint")
    code, out = cluster.run("cancel", "study=tiny")
    assert code == 0 and "its workers save and leave" in out
    launcher.communicate(timeout=60)
    assert launcher.returncode == 1
    cluster.wait_for(lambda: not cluster.ask("squeue", "--me", "-h"), 60, "the queue is empty")
    found = states(read_plan(outputs, "tiny").runs)
    assert "running" not in found.values() and "failed" not in found.values()
    assert cluster.run("cancel", "study=tiny") == (0, "there is nothing to cancel\n")


def test_a_user_who_cancels_with_scancel_is_obeyed(study, tmp_path, cluster) -> None:
    outputs = tmp_path / "outputs"
    cluster.run("launch", "study=tiny", *cluster.runs, *cluster.jobs, "launch.watch=false")
    cluster.wait_for(lambda: list(outputs.glob("checkpoints/*/*.*.pt")), 180, "a checkpoint")
    cluster.ask("scancel", "--me")
    cluster.wait_for(lambda: not cluster.ask("squeue", "--me", "-h"), 60, "the queue is empty")


@pytest.mark.slow
def test_a_time_limit_in_the_middle_is_a_chain(study, tmp_path, cluster, curves) -> None:
    outputs = tmp_path / "outputs"
    long = [*ONE, "study.blocks.ladder.grid.tokens=[2560000]", "data.max_epochs=200"]
    code, out = cluster.run(
        "launch", "study=tiny", *long, *cluster.jobs, "launch.slurm.minutes=1", seconds=900
    )
    assert code == 0, out
    folder = next(RunFolder(d.parent) for d in outputs.glob("runs/*/DONE"))
    ends = [folder.attempt(n).end.reason for n in folder.attempt_numbers()]
    assert len(ends) > 1 and set(ends[:-1]) == {"interrupted"} and ends[-1] == "done"
    jobs = {tuple(folder.attempt(n).owner.job) for n in folder.attempt_numbers()}
    assert len({name for name, _ in jobs}) == 1 and len(jobs) == len(ends)  # one job, many lives


def test_two_nodes_are_preempted_resume_and_equal_one_process(study, tmp_path, cluster) -> None:
    """Ranks on two (virtual) nodes share each batch; the job loses its nodes in the middle."""
    alone = tmp_path / "alone"
    calm = [*ONE, "optimizer.lr=0.003"]  # at a high LR rounding grows a thousandfold meanwhile
    assert cluster.run("launch", "study=tiny", *calm, "launch=inline", f"outputs={alone}")[0] == 0
    outputs = tmp_path / "outputs"
    launcher = cluster.start(
        "launch",
        "study=tiny",
        *calm,
        *cluster.jobs,
        "execution.processes=2",
        "launch.slurm.nodes=2",
        "launch.slurm.partition=preempt",
        f"outputs={outputs}",
    )
    cluster.wait_for(lambda: list(outputs.glob("checkpoints/*/*.*.pt")), 180, "a checkpoint")
    job = cluster.running()[0]
    cluster.ask(
        "sbatch", "-p", "cpu", "--exclusive", "-N", "4", "-o", "/dev/null", "--wrap=sleep 3"
    )
    out, _ = launcher.communicate(timeout=300)
    assert launcher.returncode == 0, out
    folder = next(RunFolder(d.parent) for d in outputs.glob("runs/*/DONE"))
    lives = [folder.attempt(n).owner.job for n in folder.attempt_numbers()]
    assert len(lives) > 1 and lives[0][0] == job
    assert folder.record().started_at_step > 0
    one, two = (
        pd.read_csv(RunFolder(next(o.glob("runs/*/DONE")).parent).curve_file())
        for o in (alone, outputs)
    )
    np.testing.assert_allclose(two["loss"], one["loss"], rtol=2e-4)
    assert len(one) == len(two)


def test_step_times_are_measured_on_the_cluster(study, tmp_path, cluster) -> None:
    measured = tmp_path / "outputs" / "measurements.json"
    command = ["plan", "study=tiny", *ONE, *cluster.jobs, "launch.measure=target"]
    code, out = cluster.run(*command)
    assert code == 0 and "device-hours" in out, out
    first = measured.read_text()
    assert json.loads(first) and list((tmp_path / "outputs" / "measure").glob("*/answers.json"))
    assert cluster.run(*command)[0] == 0 and measured.read_text() == first  # once is enough
    code, out = cluster.run(*command, "data.max_epochs=11", "launch.slurm.constraint=fast")
    assert code == 2 and "launch.slurm" in out, out


def test_the_documented_command_on_a_node_without_a_gpu(study, tmp_path, cluster) -> None:
    """Its nodes have GPUs in name only: the job cannot time the steps, and says so."""
    command = [
        "launch",
        "study=tiny",
        *ONE,
        *cluster.jobs,
        "launch.slurm.gpus=1",
        "execution.device=cuda",
        "launch.watch=false",
    ]
    code, out = cluster.run(*command)
    assert code == 0 and "submitted; scaling status study=tiny" in out, out
    assert "measures the step times on the cluster" in out and "no CUDA device here" in out
    answers = list((tmp_path / "outputs" / "measure").glob("*/answers.json"))
    assert len(answers) == 1 and "error" in json.loads(answers[0].read_text())
    assert cluster.ask("squeue", "--me", "-h", "-o", "%b").split() == ["gres:gpu:1"]


def test_a_program_on_a_node_has_the_users_path_and_ours_is_safe(
    study, tmp_path, cluster, monkeypatch
) -> None:
    """The folder of the launch holds packages named as ours; setup changes PYTHONPATH."""
    for name in ("scaling", "sweeps"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "__init__.py").write_text("raise SystemExit('of the current folder')")
    (tmp_path / "program.py").write_text(PROGRAM)
    code, out = cluster.run(
        "launch",
        "study=tiny",
        *ONE,
        *cluster.jobs,
        "trainer=command",
        "trainer.program=test",
        "launch.slurm.setup=['export PYTHONPATH=/module:$PYTHONPATH']",
        f"execution.command=[{sys.executable},{tmp_path}/program.py,'{{config}}']",
    )
    assert code == 0, out
    record = RunFolder(next((tmp_path / "outputs").glob("runs/*/DONE")).parent).record()
    assert record.plain["program"]["final"]["path"] == f"/module:{ROOT}"  # as `cluster.run` gave it


def test_sacct_is_never_asked(study, cluster, tmp_path, monkeypatch) -> None:
    """Many clusters have none: a study gets on with a sacct that says so on every call."""
    fake = tmp_path / "bin"
    fake.mkdir()
    (fake / "sacct").write_text(f"#!/bin/sh\ntouch {tmp_path}/asked\nexit 1\n")
    (fake / "sacct").chmod(0o755)
    monkeypatch.setenv("PATH", f"{fake}{os.pathsep}{os.environ['PATH']}")
    code, out = cluster.run("launch", "study=tiny", *ONE, *cluster.jobs)
    assert code == 0 and "1 done" in out, out
    assert not (tmp_path / "asked").exists()


def test_a_left_launcher_is_found_again(study, tmp_path, cluster) -> None:
    outputs = tmp_path / "outputs"
    launcher = cluster.start("launch", "study=tiny", *cluster.runs, *cluster.jobs)
    cluster.wait_for(cluster.running, 60, "a task runs")
    launcher.send_signal(signal.SIGINT)
    out, _ = launcher.communicate(timeout=60)
    assert launcher.returncode == 130 and "the jobs go on" in out
    tasks = set(cluster.ask("squeue", "--me", "-r", "-h", "-o", "%i").split())
    code, out = cluster.run("launch", "study=tiny", *cluster.runs, *cluster.jobs)
    assert code == 0 and len(read_launches(outputs, "tiny")) == 1
    used = {
        folder.attempt(number).owner.job[0]
        for folder in map(RunFolder, outputs.glob("runs/*"))
        for number in folder.attempt_numbers()
    }
    assert tasks <= used and len(used) <= 3  # those that were there, and no second set
