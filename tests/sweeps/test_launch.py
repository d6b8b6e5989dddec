"""Launching for real: nothing is trained twice, nothing is lost, whatever is killed."""

from __future__ import annotations

import gzip
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pandas as pd
import pytest

from scaling.claim import Claim
from scaling.config import ConfigError
from scaling.run_folder import RunFolder
from scaling.trainer import train
from sweeps import worker
from sweeps.launch import launch
from sweeps.launches import LaunchConfig, check_launch
from sweeps.plan import make_plan, save_plan
from sweeps.pool import worker_count
from sweeps.retry import TRIES_WITHOUT_PROGRESS
from sweeps.state import read_plan, states, status
from sweeps.stop import StopFlag

# Long enough to be killed in the middle: about five seconds of training on one core.
LONG = [
    "study.blocks.ladder.grid.tokens=[25600,51200]", "study.blocks.ladder.grid.model.width=[16,32]",
    "study.blocks.curves.grid.tokens=[25600]", "data.max_epochs=10",
    "execution.checkpoint_seconds=0.2",
]


def planned(study, *overrides: str):
    plan = make_plan(study(*overrides))
    save_plan(plan)
    return plan


def curves(outputs: Path) -> dict[str, bytes]:
    """run_id -> uncompressed curve of every finished run."""
    return {d.parent.name: gzip.decompress(RunFolder(d.parent).curve_file().read_bytes())
            for d in outputs.glob("runs/*/DONE")}


def attempts(outputs: Path) -> int:
    return len(list(outputs.glob("runs/*/attempts/*.json")))


def command(*overrides: str) -> list[str]:
    return [sys.executable, "-m", "scaling.cli", "launch", "study=tiny", *overrides]


def environment() -> dict[str, str]:
    return os.environ | {"PYTHONPATH": str(Path(__file__).parents[2])}


def test_a_second_launch_trains_nothing(study, tmp_path) -> None:
    plan = planned(study)
    assert launch(plan.outputs, "tiny", LaunchConfig("inline"))
    found = status(plan.outputs, "tiny")
    assert set(found["state"]) == {"done"} and found["loss"].notna().all()
    before = attempts(plan.outputs)
    launch(plan.outputs, "tiny", LaunchConfig("inline"))
    assert attempts(plan.outputs) == before == len(plan.runs)


def test_a_shared_prefix_changes_no_bit(study, tmp_path) -> None:
    """Branches that start from a trunk have the curves of runs that trained alone."""
    plan = planned(study)
    launch(plan.outputs, "tiny", LaunchConfig("inline"))
    shared = [r for r in plan.runs if r.needs]
    assert shared
    for one in shared:
        folder = plan.run_folder(one)
        assert folder.record()["started_at_step"] == one.start > 0
        alone = RunFolder(tmp_path / "alone" / "runs" / folder.run_id)
        alone.describe(folder.description())
        assert train([Claim.acquire(alone, 60.0)], {}, plan.execution) == "done"
        assert alone.record()["started_at_step"] == 0
        assert alone.curve_file().read_bytes() == folder.curve_file().read_bytes()


def test_packed_runs_agree_with_solo_runs(study, tmp_path) -> None:
    seeds = ["+study.blocks.ladder.grid.seed=[0,1,2]", "study.blocks.ladder.grid.tokens=[2560]",
             "study.blocks.ladder.grid.model.width=[8]", "~study.blocks.curves"]
    solo = planned(study, *seeds, f"outputs={tmp_path}/solo")
    launch(solo.outputs, "tiny", LaunchConfig("inline"))
    packed = planned(study, *seeds, f"outputs={tmp_path}/packed")
    launch(packed.outputs, "tiny", LaunchConfig("inline", pack=3))
    members = {packed.run_folder(p).record()["throughput"]["members"] for p in packed.runs}
    assert members == {3}
    one, other = (status(p.outputs, "tiny").set_index("run_id")["loss"] for p in (solo, packed))
    pd.testing.assert_series_equal(one, other.loc[one.index], rtol=1e-4)


@pytest.mark.parametrize("seed", [0, pytest.param(1, marks=pytest.mark.slow)])
def test_kill_9_of_launcher_and_workers_at_random_moments(study, tmp_path, seed: int) -> None:
    undisturbed = planned(study, *LONG, f"outputs={tmp_path}/undisturbed")
    launch(undisturbed.outputs, "tiny", LaunchConfig("inline"))
    rng = random.Random(seed)
    outputs = tmp_path / "killed"
    arguments = command(*LONG, f"outputs={outputs}", "launch.workers=2")
    for _ in range(3):
        process = subprocess.Popen(arguments, env=environment(), stdout=subprocess.DEVNULL,
                                   stderr=subprocess.DEVNULL, start_new_session=True)
        time.sleep(rng.uniform(5.0, 10.0))
        for victim in [*worker_pids(outputs), process.pid]:
            try:
                os.kill(victim, signal.SIGKILL)
            except ProcessLookupError:
                pass
        process.wait()
    subprocess.run(arguments, env=environment(), check=True, stdout=subprocess.DEVNULL)
    assert curves(outputs) == curves(undisturbed.outputs)
    for text in curves(outputs).values():
        steps = [int(line.split(b",")[0]) for line in text.splitlines()[1:]]
        assert steps == list(range(1, len(steps) + 1))


def worker_pids(outputs: Path) -> list[int]:
    """Workers of this outputs folder, found as a person would."""
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            arguments = path.read_bytes().split(b"\0")
        except OSError:
            continue
        if b"sweeps.worker" in arguments and str(outputs).encode() in arguments:
            found.append(int(path.parent.name))
    return found


def test_ctrl_c_saves_all_runs_and_the_same_command_goes_on(study, tmp_path) -> None:
    outputs = tmp_path / "outputs"
    arguments = command(*LONG, f"outputs={outputs}", "launch.workers=2")
    process = subprocess.Popen(arguments, env=environment(), stdout=subprocess.PIPE, text=True,
                               start_new_session=True)
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline and not list(outputs.glob("checkpoints/*/*.*.pt")):
        time.sleep(0.1)
    process.send_signal(signal.SIGINT)
    out, _ = process.communicate(timeout=60)
    assert process.returncode == 130
    assert "interrupted; all runs are saved, the same command goes on" in out
    assert not worker_pids(outputs)
    before = states(read_plan(outputs, "tiny").runs)
    assert "interrupted" in before.values() and "running" not in before.values()
    subprocess.run(arguments, env=environment(), check=True, stdout=subprocess.DEVNULL)
    assert set(states(read_plan(outputs, "tiny").runs).values()) == {"done"}


def test_a_failed_run_is_tried_again_by_the_next_launch_only(study, monkeypatch) -> None:
    plan = planned(study, "~study.blocks.curves")
    calls = []

    def broken(claims, pins, execution, should_stop):
        calls.append(claims[0].folder.run_id)
        kind = type(f"Error{len(calls)}", (Exception,), {})  # no two alike: the breaker stays shut
        claims[0].release("failed", kind("the node has a bad day"))

    monkeypatch.setattr(worker, "_trainer", lambda name: broken)
    launch(plan.outputs, "tiny", LaunchConfig("inline"))
    assert sorted(calls) == sorted(p.run.run_id for p in plan.runs)
    found = status(plan.outputs, "tiny")
    assert set(found["state"]) == {"failed"}
    assert all(note.endswith("the node has a bad day") for note in found["note"])
    monkeypatch.undo()
    launch(plan.outputs, "tiny", LaunchConfig("inline"))
    assert set(status(plan.outputs, "tiny")["state"]) == {"done"}


def test_a_branch_trains_itself_if_its_trunk_failed(study) -> None:
    plan = planned(study, "~study.blocks.curves", "study.blocks.ladder.grid.model.width=[16]")
    trunk, branch = (read_plan(plan.outputs, "tiny").runs[i] for i in (0, 1))
    assert states([trunk, branch])[branch.folder.run_id] == "blocked"
    Claim.acquire(trunk.folder, 60.0).release("failed", RuntimeError("no"))
    assert states([trunk, branch])[branch.folder.run_id] == "planned"


def test_a_trunk_that_kills_its_process_each_time_is_given_up_and_holds_nobody_up(
    study, monkeypatch
) -> None:
    """A killed process leaves no word: its run stays "interrupted", and was claimed each time."""
    plan = planned(study, "~study.blocks.curves", "study.blocks.ladder.grid.model.width=[16]")
    trunk = plan.runs[0].run.run_id
    claimed = []

    def killed(claims, pins, execution, should_stop):
        claimed.append(claims[0].folder.run_id)
        if claims[0].folder.run_id == trunk:
            claims[0].release("interrupted")
        else:
            train(claims, pins, execution, should_stop)

    monkeypatch.setattr(worker, "_trainer", lambda name: killed)
    assert launch(plan.outputs, "tiny", LaunchConfig("inline"))
    assert claimed.count(trunk) == TRIES_WITHOUT_PROGRESS
    assert set(status(plan.outputs, "tiny").set_index("run_id")["state"].drop(trunk)) == {"done"}


def test_a_worker_whose_launcher_is_gone_stops_and_a_launcher_outlives_its_shell() -> None:
    assert StopFlag(parent=os.getppid() + 1)()
    assert not StopFlag(parent=os.getppid())()
    assert not StopFlag()()


def test_launch_options_are_checked() -> None:
    with pytest.raises(ConfigError, match="launch.backend = 'slrum' is not one of: inline, local"):
        check_launch(LaunchConfig("slrum"))
    with pytest.raises(ConfigError, match="launch.workers = 0: allowed is 1 or more"):
        check_launch(LaunchConfig("local", workers=0))
    assert worker_count(LaunchConfig("local", workers=8), device="cpu", threads=1, runs=3) == 3
    assert worker_count(LaunchConfig("inline", workers=8), device="cpu", threads=1, runs=3) == 1
