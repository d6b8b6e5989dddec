"""Whatever a cluster does to the jobs, the curves are those of an undisturbed machine."""

from __future__ import annotations

import itertools
import os
import random
import signal
import subprocess
import time
from pathlib import Path

import pytest

from scalinglab.scaling.records.run_folder import RunFolder
from scalinglab.sweeps.config import LaunchConfig
from scalinglab.sweeps.launch.launch import launch
from scalinglab.sweeps.plan.make import make_plan
from scalinglab.sweeps.plan.save import save_plan
from scalinglab.sweeps.store.state import states
from scalinglab.sweeps.store.stored_plan import read_plan

pytestmark = pytest.mark.slurm
CHUNK_SECONDS = 1.0  # a signal is seen between chunks


def undisturbed(study, outputs: Path, *overrides: str) -> Path:
    """The same runs, one after another in this process."""
    plan = make_plan(study(*overrides, f"outputs={outputs}"))
    save_plan(plan)
    assert launch(outputs, "tiny", LaunchConfig("inline"))
    return outputs


def worker_of(job: str) -> int | None:
    """Process of a task's worker, found as a person would."""
    array, _, task = job.partition("_")
    wanted = {f"SLURM_ARRAY_JOB_ID={array}".encode(), f"SLURM_ARRAY_TASK_ID={task}".encode()}
    for path in Path("/proc").glob("[0-9]*/environ"):
        try:
            if (
                wanted <= set(path.read_bytes().split(b"\0"))
                and b"submitit" in (path.parent / "cmdline").read_bytes()
            ):
                return int(path.parent.name)
        except OSError:
            continue
    return None


def disturb(cluster, rng: random.Random) -> str:
    """Do something that clusters do; say what."""
    running = cluster.running()
    if not running:
        return "nothing"
    job = rng.choice(running)
    what = rng.choice(["warn", "terminate", "kill", "preempt", "node"])
    if what == "warn":
        cluster.ask("scancel", "--batch", "--signal=USR2", job)
    elif what == "terminate":
        cluster.ask("scancel", "--batch", "--signal=TERM", job)
    elif what == "kill" and (victim := worker_of(job)):
        os.kill(victim, signal.SIGKILL)
    elif what == "preempt":
        node = cluster.ask("squeue", "-h", "-j", job, "-o", "%N").strip()
        cluster.ask(
            "sbatch", "-p", "cpu", "--exclusive", "-w", node, "-o", "/dev/null", "--wrap=sleep 2"
        )
    elif what == "node":
        node = cluster.ask("squeue", "-h", "-j", job, "-o", "%N").strip()
        cluster.ask("scontrol", "update", f"NodeName={node}", "State=DOWN", "Reason=test")
        time.sleep(1)
        cluster.ask("scontrol", "update", f"NodeName={node}", "State=RESUME")
    return what


def check_attempts(outputs: Path) -> int:
    """Recomputed steps stay within a checkpoint interval; gives the number of attempts."""
    count = 0
    for folder in map(RunFolder, outputs.glob("runs/*")):
        numbers = folder.attempt_numbers()
        count += len(numbers)
        seen = [folder.progress(n) for n in numbers]
        begun = [p for p in seen if p.step is not None]
        for before, after in itertools.pairwise(begun):
            lost = max(0, before.step - after.start)
            steps_a_second = (before.step - before.start) / max(before.seconds, 1e-3)
            assert lost <= steps_a_second * (0.5 + 2 * CHUNK_SECONDS) + 1
    return count


@pytest.mark.parametrize(
    ("seed", "more", "seconds"),
    [
        (0, [], 60.0),
        pytest.param(
            1,
            ["study.blocks.ladder.grid.seed=[0,1,2,3,4,5,6,7,8,9]"],
            240.0,
            marks=pytest.mark.slow,
        ),
    ],
)
def test_chaos(study, tmp_path, cluster, curves, seed: int, more, seconds: float) -> None:
    overrides = [*cluster.runs, *more]
    expected = curves(undisturbed(study, tmp_path / "undisturbed", *overrides))
    outputs = tmp_path / "outputs"
    # A short limit: SLURM warns in the middle, and the rest goes on in a later life.
    command = [
        "launch",
        "study=tiny",
        *overrides,
        *cluster.jobs,
        f"outputs={outputs}",
        "launch.slurm.partition=preempt",
        "launch.slurm.minutes=2",
        "launch.canary=0",
    ]
    rng, begun = random.Random(seed), time.monotonic()
    launcher = cluster.start(*command)
    kills = [begun + seconds / 3, begun + 2 * seconds / 3]
    said = []
    while time.monotonic() < begun + seconds and launcher.poll() is None:
        time.sleep(rng.uniform(1.0, 6.0))
        said.append(disturb(cluster, rng))
        if kills and time.monotonic() > kills[0]:
            kills.pop(0)
            os.kill(launcher.pid, signal.SIGKILL)
            launcher.communicate()
            launcher = cluster.start(*command)
    out, _ = launcher.communicate(timeout=600)
    print(said, out)
    if launcher.returncode != 0:  # chaos may cost a run its tries: a person launches again
        code, out = cluster.run(*command, seconds=600)
        assert code == 0, out
    assert set(states(read_plan(outputs, "tiny").runs).values()) == {"done"}
    found = curves(outputs)
    assert found == expected
    for text in found.values():
        steps = [int(line.split(b",")[0]) for line in text.splitlines()[1:]]
        assert steps == list(range(1, len(steps) + 1))
    assert check_attempts(outputs) > len(expected)


def test_two_launchers_at_once(study, tmp_path, cluster, curves) -> None:
    outputs = tmp_path / "outputs"
    command = ["launch", "study=tiny", *cluster.runs, *cluster.jobs, f"outputs={outputs}"]
    expected = curves(undisturbed(study, tmp_path / "undisturbed", *cluster.runs))
    both: list[subprocess.Popen[str]] = [cluster.start(*command) for _ in range(2)]
    for launcher in both:
        out, _ = launcher.communicate(timeout=600)
        assert launcher.returncode == 0, out
    assert curves(outputs) == expected
    for folder in map(RunFolder, outputs.glob("runs/*")):  # nothing was trained twice
        assert [folder.attempt(n).end.reason for n in folder.attempt_numbers()] == ["done"]
