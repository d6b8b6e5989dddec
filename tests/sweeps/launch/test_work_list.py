"""What a worker reads before each run does not grow with the study, and misses nothing."""

from __future__ import annotations

import shutil
from collections import Counter
from pathlib import Path

import pytest

from scalinglab.compose import compose
from scalinglab.scaling.records.claim import Claim
from scalinglab.scaling.records.run_folder import RunFolder
from scalinglab.sweeps.config import LaunchConfig
from scalinglab.sweeps.launch import work_list
from scalinglab.sweeps.launch.work_list import LEAST_LOOK, WorkList
from scalinglab.sweeps.plan.make import make_plan
from scalinglab.sweeps.plan.save import save_plan
from scalinglab.sweeps.store.launch_record import new_launch, store_launch
from scalinglab.sweeps.store.stored_plan import read_plan
from tests.conftest import TINY_STUDY

RUNS = 3 * LEAST_LOOK


@pytest.fixture(scope="module")
def planned(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An outputs folder with many planned runs of one shape."""
    folder = tmp_path_factory.mktemp("planned")
    (folder / "conf" / "study").mkdir(parents=True)
    (folder / "conf" / "study" / "tiny.yaml").write_text(TINY_STUDY)
    overrides = (
        "study=tiny",
        "~study.blocks.curves",
        f"+study.blocks.ladder.grid.seed={list(range(RUNS))}",
        "study.blocks.ladder.grid.model.width=[8]",
        "study.blocks.ladder.grid.tokens=[2560]",
    )
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        plan = make_plan(compose(overrides))
        save_plan(plan)
    return plan.outputs


@pytest.fixture
def work(planned, tmp_path) -> WorkList:
    """The work list of a launch of those runs."""
    outputs = shutil.copytree(planned, tmp_path / "outputs")
    runs = read_plan(outputs, "tiny").runs
    launch = new_launch(outputs, "tiny", LaunchConfig("inline"), runs, Path("code"))
    store_launch(launch)
    return WorkList(launch, "default")


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> Counter[str]:
    """How often each run was asked for its state."""
    count: Counter[str] = Counter()
    state = RunFolder.state

    def counted(self: RunFolder) -> str:
        count[self.run_id] += 1
        return state(self)

    monkeypatch.setattr(RunFolder, "state", counted)
    return count


def finish(folder: RunFolder) -> None:
    claim = Claim.acquire(folder, 60.0)
    for name in ("record.json", "curve.csv.gz"):
        (folder.path / name).write_text("")
    claim.finish("done", 1, {"record": "record.json", "curve": "curve.csv.gz"})


def test_a_look_goes_down_the_plan_as_far_as_the_first_that_may_be_begun(work, asked):
    look = work.look()
    assert [r.run_id for r in look.ready] == [r.run_id for r in work.plan.runs[:LEAST_LOOK]]
    assert asked.total() == LEAST_LOOK


def test_what_is_finished_is_not_asked_again(work, asked):
    for run in work.plan.runs[:20]:
        finish(run.folder)
    work.look()
    asked.clear()
    assert work.look().ready[0] is work.plan.runs[20]
    assert asked.total() == LEAST_LOOK and not asked.keys() & {
        r.run_id for r in work.plan.runs[:20]
    }


def test_what_others_train_is_passed_by_and_waited_for(work):
    for run in work.plan.runs:
        Claim.acquire(run.folder, 60.0)
    look = work.look()
    assert look.ready == [] and look.waits == {"running"}


def test_a_run_whose_folder_was_removed_is_not_begun(work):
    shutil.rmtree(work.plan.runs[0].folder.path)
    assert work.look().ready[0] is work.plan.runs[1]


def test_launch_and_plan_are_read_again_when_another_launcher_has_written_them(work, monkeypatch):
    read = []
    real = work_list.read_launch
    monkeypatch.setattr(work_list, "read_launch", lambda folder: read.append(1) or real(folder))
    work.reload()
    assert not read
    store_launch(work.launch)
    work.reload()
    work.reload()
    assert len(read) == 1


def test_all_runs_are_looked_at_for_a_small_part_of_the_time_or_when_something_failed(
    work, monkeypatch
):
    now, looks = [100.0], []

    def tripped(*arguments: object) -> None:
        looks.append(now[0])
        now[0] += 2.0  # a look takes two seconds

    monkeypatch.setattr(work_list.time, "monotonic", lambda: now[0])
    monkeypatch.setattr(work_list, "tripped", tripped)
    for _ in range(20):  # runs of ten seconds
        work.why_tripped()
        now[0] += 10.0
    spent = 2.0 * len(looks)
    assert 0.02 < spent / (now[0] - 100.0) < 0.06
    work.look_at_all()
    work.why_tripped()
    assert len(looks) == spent / 2.0 + 1


def test_members_of_a_pack_that_vanished_are_looked_for_in_the_whole_plan(work, asked):
    """One went without a word, another's lease still holds: it stands far down the plan."""
    first, last = work.plan.runs[0], work.plan.runs[-1]
    for run in (first, last):
        claim = Claim.acquire(run.folder, 60.0 if run is last else 0.0)
        claim.report({"step": 1, "pack": "one", "members": 2})
    assert first.kind is not None
    look = work.look()
    assert first not in look.ready and work.plan.runs[1] in look.ready
    assert asked.total() == RUNS
