"""Launching for real: nothing is trained twice, nothing is lost, whatever is killed."""

from __future__ import annotations

import contextlib
import errno
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

from scalinglab.cli import main
from scalinglab.detach import detach
from scalinglab.scaling.config import ExecutionConfig
from scalinglab.scaling.engine.trainer.trainer import train
from scalinglab.scaling.errors import ConfigError
from scalinglab.scaling.records.claim import Claim
from scalinglab.scaling.records.run_folder import RunFolder
from scalinglab.scaling.training.child import python_command
from scalinglab.sweeps.config import LaunchConfig, check_launch
from scalinglab.sweeps.launch import worker
from scalinglab.sweeps.launch.launch import launch
from scalinglab.sweeps.launch.remaining import why_stopped
from scalinglab.sweeps.launch.retry import TRIES_WITHOUT_PROGRESS
from scalinglab.sweeps.launch.stop_flag import StopFlag
from scalinglab.sweeps.plan.make import make_plan
from scalinglab.sweeps.plan.places import worker_count
from scalinglab.sweeps.plan.save import save_plan
from scalinglab.sweeps.store.state import states
from scalinglab.sweeps.store.status import status
from scalinglab.sweeps.store.stored_plan import read_plan
from scalinglab.sweeps.watch.cancel import cancel_study

# Long enough to be killed in the middle: some seconds of training on one core.
LONG = [
    "study.blocks.ladder.grid.tokens=[12800,25600]",
    "study.blocks.ladder.grid.model.width=[16,32]",
    "~study.blocks.curves",
    "data.max_epochs=5",
    "execution.checkpoint_seconds=0.2",
]


def planned(study, *overrides: str):
    plan = make_plan(study(*overrides))
    save_plan(plan)
    return plan


def curves(outputs: Path) -> dict[str, bytes]:
    """run_id -> uncompressed curve of every finished run."""
    return {
        d.parent.name: gzip.decompress(RunFolder(d.parent).curve_file().read_bytes())
        for d in outputs.glob("runs/*/DONE")
    }


def attempts(outputs: Path) -> int:
    return len(list(outputs.glob("runs/*/attempts/*.json")))


# A program of a few lines, for tests of what starts and claims: its workers load no torch.
PROGRAM = """
import json, sys, time
from pathlib import Path
config = json.loads(Path(sys.argv[1]).read_text())
folder = Path(config["folder"])
for step in range(1, 11):
    written = folder / "progress.new"
    written.write_text(json.dumps({"step": step, "loss": 2.0}))
    written.rename(folder / "progress.json")
    time.sleep(SECONDS)
rows = [f"{step},{2 - 0.01 * step}" for step in range(1, config["steps"] + 1)]
(folder / "curve.csv").write_text("\\n".join(["step,loss", *rows]) + "\\n")
(folder / "final.json").write_text(json.dumps({"validation_loss": 1.5}))
"""


def trained_by_a_program(folder: Path, seconds: float) -> list[str]:
    """Overrides by which runs of so many seconds are trained by another program."""
    path = folder / "program.py"
    path.write_text(PROGRAM.replace("SECONDS", str(seconds / 10)))
    words = '["{python}", "' + str(path) + '", "{config}"]'
    return ["trainer=command", "trainer.program=lines", f"execution.command={words}"]


UNDISTURBED: dict[str, bytes] = {}


def undisturbed(study, folder: Path) -> dict[str, bytes]:
    """The curves of the long study's runs where nothing is killed, trained once."""
    if not UNDISTURBED:
        plan = planned(study, *LONG, f"outputs={folder}/undisturbed")
        launch(plan.outputs, "tiny", LaunchConfig("inline"))
        UNDISTURBED.update(curves(plan.outputs))
    else:
        study()
    return UNDISTURBED


def command(*overrides: str) -> list[str]:
    """A launch as a process; that shapes are timed by a process is tested with the plans."""
    words = ["launch", "study=tiny", "launch.measure=off", *overrides]
    return [sys.executable, "-m", "scalinglab.cli", *words]


# A launch of a stored plan by a process that imports no more than a launch does.
STORED = """
import sys
from pathlib import Path
from scalinglab.sweeps.config import LaunchConfig
from scalinglab.sweeps.launch.launch import launch
sys.exit(not launch(Path(sys.argv[1]), "tiny", LaunchConfig("local", workers=int(sys.argv[2]))))
"""


def stored(outputs: Path, workers: int) -> list[str]:
    return [sys.executable, "-c", STORED, str(outputs), str(workers)]


def environment() -> dict[str, str]:
    return os.environ | {"PYTHONPATH": str(Path(__file__).parents[3])}


def test_a_second_launch_trains_nothing(study, tmp_path) -> None:
    plan = planned(study)
    assert launch(plan.outputs, "tiny", LaunchConfig("inline"))
    found = status(plan.outputs, "tiny")
    assert set(found["state"]) == {"done"} and found["loss"].notna().all()
    before = attempts(plan.outputs)
    launch(plan.outputs, "tiny", LaunchConfig("inline"))
    assert attempts(plan.outputs) == before == len(plan.runs)


@pytest.mark.long
def test_a_shared_prefix_changes_no_bit(study, tmp_path) -> None:
    """Branches that start from a trunk have the curves of runs that trained alone."""
    plan = planned(study)
    launch(plan.outputs, "tiny", LaunchConfig("inline"))
    shared = [r for r in plan.runs if r.needs]
    assert shared
    for one in shared:
        folder = plan.run_folder(one)
        assert folder.record().started_at_step == one.start > 0
        alone = RunFolder(tmp_path / "alone" / "runs" / folder.run_id)
        alone.describe(folder.spec())
        assert train([Claim.acquire(alone, 60.0)], {}, plan.execution) == "done"
        assert alone.record().started_at_step == 0
        assert alone.curve_file().read_bytes() == folder.curve_file().read_bytes()


def test_packed_runs_agree_with_solo_runs(study, tmp_path) -> None:
    seeds = [
        "+study.blocks.ladder.grid.seed=[0,1,2]",
        "study.blocks.ladder.grid.tokens=[2560]",
        "study.blocks.ladder.grid.model.width=[8]",
        "~study.blocks.curves",
    ]
    solo = planned(study, *seeds, f"outputs={tmp_path}/solo")
    launch(solo.outputs, "tiny", LaunchConfig("inline"))
    packed = planned(study, *seeds, f"outputs={tmp_path}/packed")
    launch(packed.outputs, "tiny", LaunchConfig("inline", pack=3))
    members = {packed.run_folder(p).record().throughput.members for p in packed.runs}
    assert members == {3}
    one, other = (status(p.outputs, "tiny").set_index("run_id")["loss"] for p in (solo, packed))
    pd.testing.assert_series_equal(one, other.loc[one.index], rtol=1e-4)


@pytest.mark.long
@pytest.mark.parametrize(
    ("seed", "launches"), [(0, (1,)), pytest.param(1, (2, 1), marks=pytest.mark.slow)]
)
def test_kill_9_of_launcher_and_workers_at_random_moments(
    study, tmp_path, seed: int, launches: tuple[int, ...]
) -> None:
    """The last command is given here: whole launches of workers are other tests'."""
    expected = undisturbed(study, tmp_path)
    rng = random.Random(seed)
    outputs = tmp_path / "killed"
    killed = 0
    for workers in launches:
        process = subprocess.Popen(
            command(*LONG, f"outputs={outputs}", f"launch.workers={workers}"),
            env=environment(),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        while process.poll() is None and not running(outputs):
            time.sleep(0.1)
        time.sleep(rng.uniform(0.0, 1.0))
        killed += len(worker_pids(outputs))
        for victim in [*worker_pids(outputs), process.pid]:
            with contextlib.suppress(ProcessLookupError):
                os.kill(victim, signal.SIGKILL)
        process.wait()
    assert killed
    assert launch(outputs, "tiny", LaunchConfig("inline"))
    assert curves(outputs) == expected
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
        here = any(a.startswith(str(outputs).encode()) for a in arguments)
        if b"scalinglab.sweeps.launch.worker" in arguments and here:
            found.append(int(path.parent.name))
    return found


@pytest.mark.long
def test_ctrl_c_saves_all_runs_and_the_same_command_goes_on(study, tmp_path) -> None:
    outputs = tmp_path / "outputs"
    arguments = command(*LONG, f"outputs={outputs}", "launch.workers=2")
    process = subprocess.Popen(
        arguments, env=environment(), stdout=subprocess.PIPE, text=True, start_new_session=True
    )
    deadline = time.monotonic() + 600
    while time.monotonic() < deadline and not list(outputs.glob("checkpoints/*/*.*.pt")):
        time.sleep(0.1)
    process.send_signal(signal.SIGINT)
    out, _ = process.communicate(timeout=600)
    assert process.returncode == 130
    assert "interrupted; all runs are saved, launch again to go on" in out
    assert not worker_pids(outputs)
    before = states(read_plan(outputs, "tiny").runs)
    assert "interrupted" in before.values() and "running" not in before.values()
    assert launch(outputs, "tiny", LaunchConfig("inline"))  # with workers: the test of kill -9
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
    assert states([trunk, branch])[branch.run_id] == "waiting"
    Claim.acquire(trunk.folder, 60.0).release("failed", RuntimeError("no"))
    assert states([trunk, branch])[branch.run_id] == "planned"


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


@pytest.mark.long
def test_two_launchers_at_once_train_each_run_once(study, tmp_path) -> None:
    """One plans what the other has planned before."""
    outputs = tmp_path / "outputs"
    words = [*trained_by_a_program(tmp_path, 3.0), "~study.blocks.curves", f"outputs={outputs}"]
    planned(study, *words, "launch.measure=off")
    both = [
        subprocess.Popen(launcher, env=environment(), stdout=subprocess.DEVNULL)
        for launcher in (command(*words, "launch.workers=1"), stored(outputs, 1))
    ]
    assert [process.wait(timeout=600) for process in both] == [0, 0]
    runs = read_plan(outputs, "tiny").runs
    assert set(states(runs).values()) == {"done"}
    trainers = set()
    for run in runs:
        (number,) = run.folder.attempt_numbers()
        attempt = run.folder.attempt(number)
        assert attempt.end.reason == "done"
        trainers.add(attempt.owner.pid)
    assert len(trainers) == 2  # or nobody was in anybody's way


def paused(outputs: Path, arguments: list[str]) -> RunFolder:
    """The run whose worker is paused until another has taken the run over; the launch ends well."""
    process = subprocess.Popen(arguments, env=environment(), stdout=subprocess.DEVNULL)
    deadline = time.monotonic() + 600
    while not (holders := running(outputs)) and time.monotonic() < deadline:
        time.sleep(0.1)
    folder, pid = holders[0]
    os.kill(pid, signal.SIGSTOP)
    while folder.attempt_numbers() == [1] and time.monotonic() < deadline:
        time.sleep(0.1)
    os.kill(pid, signal.SIGCONT)
    assert process.wait(timeout=600) == 0
    assert folder.attempt(1).end.reason == "lost"
    return folder


@pytest.mark.long
def test_a_worker_that_was_paused_beyond_its_lease_harms_nothing(study, tmp_path) -> None:
    """Another takes its run over; it wakes up, finds that, and leaves: one DONE, one record."""
    outputs = tmp_path / "paused"
    planned(
        study,
        *trained_by_a_program(tmp_path, 2.0),
        "~study.blocks.curves",
        "study.blocks.ladder.grid.model.width=[8]",
        *(f"outputs={outputs}", "execution.lease_seconds=3", "launch.measure=off"),
    )
    folder = paused(outputs, stored(outputs, 2))
    assert folder.done().attempt == folder.record().attempt == 2
    assert set(states(read_plan(outputs, "tiny").runs).values()) == {"done"}


@pytest.mark.slow
def test_a_run_that_was_taken_over_from_a_paused_worker_has_its_curve(study, tmp_path) -> None:
    expected = undisturbed(study, tmp_path)
    outputs = tmp_path / "paused"
    options = (f"outputs={outputs}", "launch.workers=2", "execution.lease_seconds=3")
    paused(outputs, command(*LONG, *options))
    assert curves(outputs) == expected


def running(outputs: Path) -> list[tuple[RunFolder, int]]:
    """Runs that have got somewhere and are under way, with the process that trains them."""
    found = []
    for folder in map(RunFolder, outputs.glob("runs/*")):
        attempt = folder.latest_attempt()
        if (
            attempt is not None
            and folder.state() == "running"
            and folder.progress(attempt.number).reached
        ):
            found.append((folder, attempt.owner.pid))
    return found


def test_a_canary_goes_first(study, monkeypatch) -> None:
    plan = planned(study)
    seen = []

    def watched(claims, pins, execution, should_stop):
        others = [p for p in plan.runs if plan.run_folder(p).state() == "running"]
        seen.append(len(others))
        train(claims, pins, execution, should_stop)

    monkeypatch.setattr(worker, "_trainer", lambda name: watched)
    launch(plan.outputs, "tiny", LaunchConfig("inline", canary=1, pack=2))
    assert seen[0] == 1  # the first pack holds the canary alone
    assert set(status(plan.outputs, "tiny")["state"]) == {"done"}


def test_a_canary_that_fails_stops_the_launch(study, monkeypatch) -> None:
    plan = planned(study)

    def broken(claims, pins, execution, should_stop):
        claims[0].release("failed", KeyError("wsd"))

    monkeypatch.setattr(worker, "_trainer", lambda name: broken)
    launch(plan.outputs, "tiny", LaunchConfig("inline", canary=1))
    assert attempts(plan.outputs) == 1
    assert "1 run failed (" in why_stopped(plan.outputs, "tiny")
    monkeypatch.undo()
    launch(plan.outputs, "tiny", LaunchConfig("inline", runs="failed"))
    found = status(plan.outputs, "tiny")["state"]
    assert (found == "done").sum() == 1 and not (found == "failed").any()


def failing_once(monkeypatch, when: int, error: Exception) -> list[str]:
    """Let the attempt with this number fail; gives the runs that were tried, in order."""
    calls: list[str] = []

    def trainer(claims, pins, execution, should_stop):
        calls.append(claims[0].folder.run_id)
        if len(calls) == when:
            claims[0].release("failed", error)
        else:
            train(claims, pins, execution, should_stop)

    monkeypatch.setattr(worker, "_trainer", lambda name: trainer)
    return calls


def test_a_full_disk_is_waited_for(study, monkeypatch) -> None:
    plan = planned(study, "~study.blocks.curves")
    monkeypatch.setattr("scalinglab.sweeps.launch.retry.BACK_OFF_SECONDS", 0.01)
    calls = failing_once(monkeypatch, 1, OSError(errno.ENOSPC, "No space left on device"))
    launch(plan.outputs, "tiny", LaunchConfig("inline"))
    assert set(status(plan.outputs, "tiny")["state"]) == {"done"}
    assert len(calls) == len(plan.runs) + 1


def test_workers_run_the_frozen_code_whatever_lies_in_the_current_folder(study, tmp_path) -> None:
    plan = planned(study, "~study.blocks.curves", *trained_by_a_program(tmp_path, 0.0))
    (tmp_path / "sweeps").mkdir()
    (tmp_path / "sweeps" / "__init__.py").write_text("raise SystemExit('edited')")
    launch(plan.outputs, "tiny", LaunchConfig("local", workers=1))
    assert set(status(plan.outputs, "tiny")["state"]) == {"done"}


def test_branches_wait_for_a_trunk_that_will_be_tried_again(study, monkeypatch) -> None:
    plan = planned(study, "~study.blocks.curves", "study.blocks.ladder.grid.model.width=[16]")
    monkeypatch.setattr("scalinglab.sweeps.launch.retry.BACK_OFF_SECONDS", 0.5)
    trunk = plan.runs[0].run.run_id
    calls = failing_once(monkeypatch, 1, TimeoutError("the file server"))
    launch(plan.outputs, "tiny", LaunchConfig("inline"))
    assert calls[:2] == [trunk, trunk]
    assert plan.run_folder(plan.runs[1]).record().started_at_step > 0


@pytest.mark.parametrize(
    ("words", "tried"),
    [
        ("CUDA driver initialization failed", worker.INFRA_FAILURES),
        ("CUDA error: device-side assert triggered", 1),  # which no later run here would survive
    ],
)
def test_a_worker_whose_machinery_fails_leaves_the_rest_to_others(
    study, monkeypatch, words, tried
) -> None:
    plan = planned(study)
    calls = []

    def broken(claims, pins, execution, should_stop):
        calls.append(claims[0].folder.run_id)
        claims[0].release("failed", RuntimeError(words))

    monkeypatch.setattr(worker, "_trainer", lambda name: broken)
    launch(plan.outputs, "tiny", LaunchConfig("inline"))
    assert len(calls) == tried


def test_a_finished_run_is_canary_enough(study, monkeypatch) -> None:
    plan = planned(study)
    calls = failing_once(monkeypatch, 2, KeyError("wsd"))
    launch(plan.outputs, "tiny", LaunchConfig("inline", canary=1))
    assert sorted(status(plan.outputs, "tiny")["state"])[:2] == ["done", "done"]
    assert len(calls) == len(plan.runs)


@pytest.mark.long
def test_a_detached_launch_goes_on_alone_and_can_be_cancelled(study, tmp_path) -> None:
    """Also where the current folder holds packages that are named as ours."""
    outputs = tmp_path / "outputs"
    for name in ("scaling", "sweeps"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "__init__.py").write_text("raise SystemExit('of the current folder')")
    arguments = python_command(
        "scalinglab.cli",
        *command(
            *trained_by_a_program(tmp_path, 10.0),
            f"outputs={outputs}",
            "launch.workers=1",
            "launch.detach=true",
        )[3:],
    )
    out = subprocess.run(arguments, env=environment(), check=True, capture_output=True, text=True)
    assert "trains it and writes to" in out.stdout
    deadline = time.monotonic() + 600
    while not running(outputs) and time.monotonic() < deadline:
        time.sleep(0.1)
    assert cancel_study(outputs, "tiny")
    deadline = time.monotonic() + 600
    while worker_pids(outputs) and time.monotonic() < deadline:
        time.sleep(0.1)
    found = set(states(read_plan(outputs, "tiny").runs).values())
    assert "interrupted" in found and "running" not in found


def test_a_launcher_in_the_background_that_dies_at_once_is_told(study, monkeypatch, capsys) -> None:
    planned(study)
    lines = "import sys; print(*range(100), sep='\\n'); sys.exit('no module named x')"
    monkeypatch.setattr(
        "scalinglab.detach.python_command",
        lambda *words: [sys.executable, "-c", lines],
    )
    with pytest.raises(SystemExit) as ended:
        main(["launch", "study=tiny", "launch.detach=true", "launch.pack=off"])
    out = capsys.readouterr().out
    assert ended.value.code == 1 and "    99\n" in out and "    50\n" not in out
    assert "    no module named x\n" in out and "ended at once, with exit code 1" in out
    assert "trains it" not in out


def test_ctrl_c_before_a_launcher_in_the_background_has_begun_ends_it(study, monkeypatch) -> None:
    plan, started, popen = planned(study), [], subprocess.Popen
    monkeypatch.setattr(
        "scalinglab.detach.python_command",
        lambda *words: [sys.executable, "-c", "import time; time.sleep(60)"],
    )
    monkeypatch.setattr(
        subprocess, "Popen", lambda *a, **k: started.append(popen(*a, **k)) or started[-1]
    )

    def interrupt(seconds: float) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("scalinglab.detach.time.sleep", interrupt)
    with pytest.raises(KeyboardInterrupt):
        detach([], plan.outputs, "tiny")
    monkeypatch.undo()  # waiting sleeps, too
    assert started[-1].wait(30) == -signal.SIGTERM


def test_a_worker_whose_launcher_is_gone_stops_and_a_launcher_outlives_its_shell() -> None:
    assert StopFlag(parent=os.getppid() + 1)()
    assert not StopFlag(parent=os.getppid())()
    assert not StopFlag()()


def test_launch_options_are_checked() -> None:
    with pytest.raises(ConfigError, match="launch.backend = 'slrum' is not one of: inline, local"):
        check_launch(LaunchConfig("slrum"))
    with pytest.raises(ConfigError, match="launch.workers = 0: allowed is 1 or more"):
        check_launch(LaunchConfig("local", workers=0))
    assert worker_count(LaunchConfig("local", workers=8), ExecutionConfig(), 3) == 3
    assert worker_count(LaunchConfig("inline", workers=8), ExecutionConfig(), 3) == 1
