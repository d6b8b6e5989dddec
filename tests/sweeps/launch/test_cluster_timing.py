"""A login node without a GPU plans and launches: steps are timed in a job, or not at all."""

from __future__ import annotations

import re
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from scalinglab.candidate_runs import candidate_runs
from scalinglab.cli import main
from scalinglab.compose import compose
from scalinglab.scaling.config import ExecutionConfig
from scalinglab.scaling.errors import ConfigError
from scalinglab.sweeps.config import LaunchConfig, SlurmConfig, check_launch
from scalinglab.sweeps.launch import cluster_timing
from scalinglab.sweeps.launch.cluster_timing import timing_target
from scalinglab.sweeps.plan.local_timing import CannotMeasure
from scalinglab.sweeps.plan.make import make_plan
from scalinglab.sweeps.plan.timing import here, with_seconds
from scalinglab.sweeps.store.stored_plan import read_plan

# The command of the documentation.
ON_SLURM = ["launch=slurm", "launch.slurm.gpus=1", "execution.device=cuda", "launch.poll_seconds=0"]
# A job that answers as one on a node with GPUs would; $given is the script that sbatch was given.
ANSWERS = """
[ "$1" != --test-only ] || exit 0
folder=$(dirname "$given")/..
[ ! -e "$folder/requests.json" ] || {python} -c '
import json, sys
folder = sys.argv[1]
timing = {{"step": 0.5, "token": 1e-6, "packed": {{}}}}
json.dump({{"answers": [timing for _ in json.load(open(f"{{folder}}/requests.json"))]}},
          open(f"{{folder}}/answers.json", "w"))' "$folder"
number=$(( $(cat count 2>/dev/null || echo 100) + 1 )); echo $number > count
grep -o 'job-name=.*' "$given" | cut -d= -f2 >> names
echo "Submitted batch job $number"
"""


@pytest.fixture
def login_node(fake: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
    """No GPU here, and an sbatch of these lines."""
    monkeypatch.setattr("scalinglab.scaling.records.machine.gpus", list)
    monkeypatch.setattr(cluster_timing, "POLL_SECONDS", 0.001)
    monkeypatch.setattr(cluster_timing, "QUEUE_SECONDS", 0.01)

    def sbatch(lines: str) -> None:
        (fake / "sbatch").write_text(
            f'#!/bin/bash\ngiven=$(readlink -f "$1")\ncd {fake}\n{lines}\n'
        )
        (fake / "sbatch").chmod(0o755)

    sbatch(ANSWERS.format(python=sys.executable))
    return sbatch


def run(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, str]:
    with pytest.raises(SystemExit) as ended:
        main(arguments)
    return ended.value.code or 0, "".join(capsys.readouterr())


def seconds(outputs: Path) -> list[float | None]:
    return [r.seconds for r in read_plan(outputs, "tiny").runs]


def test_the_documented_command_times_its_steps_in_a_job(
    study, login_node, fake, tmp_path, capsys
) -> None:
    arguments = ["launch", "study=tiny", *ON_SLURM, "launch.watch=false"]
    code, out = run(capsys, *arguments)
    assert code == 0 and "submitted; scaling status study=tiny shows how far it is" in out, out
    assert "job 101 measures the step times on the cluster" in out
    assert all(s is not None and s > 1 for s in seconds(tmp_path / "outputs"))
    names = (fake / "names").read_text().split()
    assert names[0] == cluster_timing.NAME and len(names) == 2
    code, out = run(capsys, "plan", "study=tiny", *ON_SLURM)  # once is enough
    assert code == 0 and "measures the step times" not in out and "device-hours" in out


def test_the_documented_file_of_a_cluster_works_as_written(
    study, login_node, tmp_path, capsys
) -> None:
    page = (Path(__file__).parents[3] / "docs" / "cluster.md").read_text()
    command, text = re.search(
        r"`scaling ([^`]*launch=mycluster[^`]*)`\)?:\n\n```yaml\n(.*?)```", page, re.DOTALL
    ).groups()
    (tmp_path / "conf" / "launch").mkdir()
    (tmp_path / "conf" / "launch" / "mycluster.yaml").write_text(text)
    words = command.replace("study=mine", "study=tiny").split()
    code, out = run(capsys, *words, "launch.watch=false", "launch.poll_seconds=0")
    assert code == 0 and "submitted; scaling status study=tiny" in out, out
    assert "stand idle" not in out and all(seconds(tmp_path / "outputs"))


@pytest.mark.parametrize(
    ("sbatch", "why"),
    [
        (
            '[ "$1" != --test-only ] || exit 0\necho "sbatch: error: invalid qos" >&2; exit 1',
            "SLURM refused the job: invalid qos; it was to measure the step times",
        ),
        ('echo "Submitted batch job 7"', "job 7 ended without the step times; its log is"),
    ],
)
def test_where_no_job_can_time_them_the_times_are_not_known(
    study, login_node, tmp_path, capsys, sbatch, why
) -> None:
    login_node(sbatch)
    code, out = run(capsys, "plan", "study=tiny", *ON_SLURM)
    assert code == 0 and "Their time is not known" in out, out
    assert "! the time of a step is not known (" in out and why in out
    code, out = run(capsys, "plan", "study=tiny", *ON_SLURM, "launch.measure=target")
    assert code == 2 and why in out and "launch.measure=off" in out


def test_without_slurm_at_hand_a_plan_is_made_without_times(
    study, login_node, fake, capsys
) -> None:
    (fake / "down").touch()
    code, out = run(capsys, "plan", "study=tiny", *ON_SLURM)
    assert code == 0 and "SLURM does not answer here" in out
    code, out = run(capsys, "plan", "study=tiny", *ON_SLURM, "launch.measure=off")
    assert code == 0 and "(launch.measure = off)" in out


def test_an_answer_that_does_not_come_is_waited_for_so_long_and_its_job_is_cancelled(
    study, login_node, fake, tmp_path
) -> None:
    login_node('echo "7|PENDING|Priority||scaling-measure" > queue; echo "Submitted batch job 7"')
    config = LaunchConfig("slurm", measure_seconds=0.2, slurm=SlurmConfig(gpus=1))
    told: list[str] = []
    target = timing_target(
        config, ExecutionConfig(device="cuda"), tmp_path / "outputs", told.append
    )
    assert not target.required and target.where == "slurm 1 GPUs"
    with pytest.raises(CannotMeasure, match="did not end within launch.measure_seconds = 0.2"):
        target.measure([])
    assert len(told) == 1 and (fake / "queue").read_text() == ""


def test_here_without_a_device_names_the_ways_out(study, login_node, capsys) -> None:
    code, out = run(capsys, "plan", "study=tiny", *ON_SLURM, "launch.measure=here")
    assert code == 2 and "torch finds no CUDA device here" in out
    assert "launch.measure=target" in out and "launch.measure=off" in out


@pytest.mark.parametrize(
    ("config", "device", "where", "required"),
    [
        (LaunchConfig("local"), "cpu", "here", True),
        (LaunchConfig("local"), "cuda", "here", True),
        (LaunchConfig("slurm"), "cpu", "here", True),
        (LaunchConfig("slurm"), "cuda", "slurm", False),
        (LaunchConfig("slurm", measure="target"), "cpu", "slurm", True),
        (LaunchConfig("slurm", measure="here"), "cuda", "here", True),
        (LaunchConfig("slurm", measure="off"), "cuda", "nowhere", False),
        (LaunchConfig("local", measure="off"), "cpu", "nowhere", False),
    ],
)
def test_where_steps_are_timed(monkeypatch, tmp_path, config, device, where, required) -> None:
    monkeypatch.setattr("scalinglab.scaling.records.machine.processor", lambda: "here")
    target = timing_target(config, ExecutionConfig(device=device), tmp_path)
    assert (target.where, target.required) == (where, required)
    elsewhere = config.backend == "slurm" and where == "here"
    assert ("not on the cluster's nodes" in target.caveat) == elsewhere


def test_a_plan_says_that_its_times_are_of_another_machine(study) -> None:
    def timed(requests: list) -> list:
        return [{"step": 0.5, "token": 1e-6, "packed": {}} for _ in requests]

    plan = make_plan(study())
    for elsewhere in (True, False):
        target = replace(here(trained_elsewhere=elsewhere), measure=timed)
        said = " ".join(with_seconds(plan, target).warnings)
        assert ("launch.measure=target measures them in a short job there" in said) == elsewhere


def test_candidates_are_chosen_by_their_cost(study, login_node, capsys) -> None:
    """Those of a study for GPUs of a cluster are timed there, too."""
    grid = {"model": {"width": [16]}, "tokens": [2560]}
    rows = candidate_runs(compose(["study=tiny", *ON_SLURM]), grid).table
    assert len(rows) == 1 and rows["cost"].between(20 / 3600, 30 / 3600).all()  # 40 steps, .5 s
    with pytest.raises(ConfigError, match="launch.measure = off: candidates are chosen by their"):
        candidate_runs(compose(["study=tiny", *ON_SLURM, "launch.measure=off"]), grid)


def test_a_measurement_is_asked_for_where_it_can_be_made() -> None:
    with pytest.raises(ConfigError, match="launch.measure = target: launch.backend = local runs"):
        check_launch(LaunchConfig("local", measure="target"))
    with pytest.raises(ConfigError, match="launch.measure = 'never' is not one of: auto, here"):
        check_launch(LaunchConfig("local", measure="never"))
