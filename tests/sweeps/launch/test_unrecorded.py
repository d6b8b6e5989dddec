"""A run whose last checkpoint is there and whose DONE is not lacks a record, and gets it."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from scalinglab.cli import main
from scalinglab.scaling.records.prefixes import stored_checkpoints
from scalinglab.sweeps.config import LaunchConfig
from scalinglab.sweeps.launch.launch import launch
from scalinglab.sweeps.launch.slurm import tasks_needed
from scalinglab.sweeps.plan.make import make_plan
from scalinglab.sweeps.plan.plan import Plan
from scalinglab.sweeps.plan.save import save_plan
from scalinglab.sweeps.plan.timing import with_seconds
from scalinglab.sweeps.store.status import status
from scalinglab.sweeps.store.stored_plan import read_plan

ONE = [
    "study.blocks.ladder.grid.tokens=[2560]",
    "study.blocks.ladder.grid.model.width=[8]",
    "~study.blocks.curves",
]
# Both lengths are one constant stretch: the longer run passes the last step of the shorter.
PREFIX = [
    "study.blocks.ladder.grid.tokens=[2560,5120]",
    "~study.blocks.curves",
    "study.blocks.ladder.grid.model.width=[8]",
    "schedule=constant",
]
# What an attempt adds to a record; all else is the run's.
OF_ATTEMPT = ("attempt", "started_at_step", "throughput", "machine", "code")

# A launch whose process is killed as it comes to one place: after the named function has done its
# work on what `here` recognises, or before.
KILLED = """
import importlib, os, signal

module = importlib.import_module(place)
called = getattr(module, function)

def killed(*arguments):
    if before and here(*arguments):
        os.kill(os.getpid(), signal.SIGKILL)
    result = called(*arguments)
    if here(*arguments):
        os.kill(os.getpid(), signal.SIGKILL)
    return result

setattr(module, function, killed)
launch(outputs, "tiny", LaunchConfig("inline"))
"""


def is_last(path: Path, checkpoint: Any) -> bool:
    return checkpoint.step == 40


def is_record(path: Path, content: Any) -> bool:
    return path.name.startswith("record")


def is_done(path: Path, content: str) -> bool:
    return path.name == "DONE"


def always(*arguments: Any) -> bool:
    return True


POINTS: dict[str, tuple[str, str, Callable[..., bool], bool]] = {
    "with its last checkpoint": (
        "scalinglab.scaling.engine.trainer.loop",
        "save_checkpoint",
        is_last,
        False,
    ),
    "with its curve": ("scalinglab.scaling.training.finish", "write_curve", always, False),
    "before its record": ("scalinglab.scaling.records.atomic", "write_atomic", is_record, True),
    "with its record": ("scalinglab.scaling.training.finish", "write_json", is_record, False),
    "with DONE": ("scalinglab.scaling.records.claim", "create_exclusive", is_done, False),
}


def planned(study: Callable[..., Any], *overrides: str) -> Plan:
    plan = make_plan(study(*overrides))
    save_plan(plan)
    return plan


def recorded(plan: Plan) -> dict[str, tuple[dict[str, Any], bytes]]:
    """run_id -> what each record says of the run, and its curve."""
    folders = [plan.run_folder(p) for p in plan.runs]
    return {
        f.run_id: (
            {k: v for k, v in f.record().plain.items() if k not in OF_ATTEMPT},
            f.curve_file().read_bytes(),
        )
        for f in folders
    }


@pytest.fixture
def undisturbed(study, tmp_path) -> Callable[..., dict[str, Any]]:
    """What a study leaves that nothing disturbed."""

    def trained(*overrides: str) -> dict[str, Any]:
        plan = planned(study, *overrides, f"outputs={tmp_path}/undisturbed")
        assert launch(plan.outputs, "tiny", LaunchConfig("inline"))
        return recorded(plan)

    return trained


def launched(*overrides: str) -> int:
    """The exit code of ``scaling launch`` in this process."""
    with pytest.raises(SystemExit) as ended:
        main(["launch", "study=tiny", "launch=inline", *overrides])
    return ended.value.code or 0


@pytest.mark.long
def test_kill_9_between_the_last_checkpoint_and_done(study, processes, undisturbed) -> None:
    expected = undisturbed(*ONE)
    for point, (place, function, here, before) in POINTS.items():
        plan = planned(study, *ONE, f"outputs={point.replace(' ', '-')}")
        names = {
            "place": place,
            "function": function,
            "here": here,
            "before": before,
            "outputs": plan.outputs,
            "launch": launch,
            "LaunchConfig": LaunchConfig,
        }
        victim = processes.Process(target=exec, args=(KILLED, names))
        victim.start()
        victim.join()
        folder = plan.run_folder(plan.runs[0])
        assert victim.exitcode == -9 and (folder.done() is not None) == (point == "with DONE")
        assert stored_checkpoints(plan.outputs, plan.runs[0].run.science)[0][0] == 40
        assert launched(*ONE, f"outputs={plan.outputs}", "launch.pack=off") == 0
        assert recorded(plan) == expected, point
        assert folder.latest_attempt().number == (1 if point == "with DONE" else 2)


@pytest.mark.long
def test_a_run_whose_steps_a_longer_one_has_trained(study, undisturbed, capsys) -> None:
    """The launch that left it out was told to; the next one records it, from that checkpoint."""
    expected = undisturbed(*PREFIX)
    assert launched(*PREFIX, "launch.runs='tokens == 5120'") == 0  # the one that was asked for
    again = planned(study, *PREFIX)
    left = next(p for p in again.runs if p.state == "planned")
    assert left.is_unfinished and left.new_steps == 0 and left.needs is None
    capsys.readouterr()
    assert launched(*PREFIX) == 0
    out = capsys.readouterr().out
    assert "1 run(s) have their last checkpoint and lack only their record" in out
    assert recorded(again) == expected
    record = again.run_folder(left).record()
    assert record.started_at_step == record.steps == 40
    assert set(status(again.outputs, "tiny")["step"]) == {40, 80}
    assert launched(*PREFIX) == 0
    assert "nothing is left to train" in capsys.readouterr()[0]


@pytest.mark.parametrize(
    "config",
    [
        pytest.param(LaunchConfig("inline"), id="inline"),
        pytest.param(LaunchConfig("inline", pack=2), id="pack"),
        pytest.param(LaunchConfig("local", workers=1), id="pool", marks=pytest.mark.slow),
    ],
)
def test_removed_run_folders_are_recorded_again(study, undisturbed, config) -> None:
    expected = undisturbed(*PREFIX)
    plan = planned(study, *PREFIX)
    launch(plan.outputs, "tiny", LaunchConfig("inline"))
    shutil.rmtree(plan.outputs / "runs")
    again = planned(study, *PREFIX)
    assert [p.new_steps for p in again.runs] == [0, 0]
    assert launch(plan.outputs, "tiny", config)
    assert recorded(again) == expected


def test_slurm_is_asked_for_one_task_for_runs_without_steps(study) -> None:
    plan = planned(study, *PREFIX)
    launch(plan.outputs, "tiny", LaunchConfig("inline"))
    shutil.rmtree(plan.outputs / "runs")
    save_plan(with_seconds(make_plan(study(*PREFIX))))
    runs = read_plan(plan.outputs, "tiny").runs
    assert [r.seconds for r in runs] == [0.0, 0.0]
    asked = type("Asked", (), {"config": LaunchConfig("slurm")})
    assert tasks_needed(asked, "default", runs) == 1
