"""Removing checkpoints loses nothing: what was interrupted resumes, what branches still may."""

from __future__ import annotations

import os
import shutil
import time
from pathlib import Path

import pandas as pd
import pytest

from scalinglab.cli import main
from scalinglab.compose import compose
from scalinglab.scaling.engine.trainer.trainer import train
from scalinglab.scaling.errors import ConfigError
from scalinglab.scaling.records.atomic import read_json, write_json
from scalinglab.scaling.records.claim import Claim
from scalinglab.scaling.records.parts import new_parts, write_manifest
from scalinglab.scaling.records.processes import this_process
from scalinglab.scaling.records.run_folder import RunFolder
from scalinglab.sweeps.config import LaunchConfig
from scalinglab.sweeps.launch.launch import launch
from scalinglab.sweeps.plan.make import make_plan
from scalinglab.sweeps.plan.plan import Plan
from scalinglab.sweeps.plan.save import save_plan
from scalinglab.sweeps.store.status import status
from scalinglab.sweeps.watch.checkpoint_kinds import KEEP
from scalinglab.sweeps.watch.gc import remove, size, summary, survey

ONE_SIZE = [
    "study.blocks.ladder.grid.model.width=[8]",
    "~study.blocks.seeds",
    "~study.blocks.held_out",
    "~study.blocks.curves",
    "~study.blocks.wild",
    "study.answer.curve_held_out=null",
]


@pytest.fixture
def outputs(finished: Path, tmp_path: Path, monkeypatch) -> Path:
    """A copy of the finished study, and its folder as the current one."""
    for name in ("conf", "outputs"):
        shutil.copytree(finished.parent / name, tmp_path / name)
    monkeypatch.chdir(tmp_path)
    return tmp_path / "outputs"


def plan_of(*overrides: str) -> Plan:
    return make_plan(compose(["study=tiny", *overrides]))


def clean(outputs: Path, keep: str = "branch") -> pd.DataFrame:
    found = survey(outputs, keep)
    remove(found)
    return found


def kinds(outputs: Path, keep: str) -> dict[str, bool]:
    """Kind -> whether it goes."""
    return dict(survey(outputs, keep)[["kind", "goes"]].itertuples(index=False))


def test_what_stays_is_chosen(outputs) -> None:
    assert kinds(outputs, "weights") == {"branch point": False, "final weights": False}
    assert kinds(outputs, "branch") == {"branch point": False, "final weights": True}
    assert kinds(outputs, "needed") == {"branch point": True, "final weights": True}
    with pytest.raises(ConfigError, match="keep = 'all' is not one of: weights, branch, needed"):
        survey(outputs, "all")


@pytest.mark.parametrize("keep", ["branch", "needed"])
def test_a_branch_added_later_costs_its_cooldown_only(outputs, keep) -> None:
    clean(outputs, keep)
    others = plan_of(*ONE_SIZE, "schedule.cooldown_shape=sqrt").runs
    cost = {p.run.steps: p.new_steps for p in others}
    if keep == "branch":
        assert cost == {80: 16, 160: 32, 320: 64}
    else:
        assert cost[320] == 320


@pytest.mark.parametrize("keep", ["branch", "needed"])
def test_an_interrupted_run_resumes_to_the_same_bits(outputs, tmp_path, keep) -> None:
    plan = plan_of(*ONE_SIZE, "study.blocks.ladder.grid.tokens=[5120]", f"outputs={tmp_path}/cut")
    save_plan(plan)
    folder = plan.run_folder(plan.runs[0])
    asked = iter([False, True, True])
    claim = Claim.acquire(folder, 60.0)
    assert train([claim], {}, plan.execution, lambda: next(asked)) == "interrupted"
    assert kinds(plan.outputs, keep)["latest"] is False
    clean(plan.outputs, keep)
    launch(plan.outputs, "tiny", LaunchConfig("inline"))
    assert folder.record().started_at_step > 0
    whole = RunFolder(outputs / "runs" / folder.run_id)
    assert folder.curve_file().read_bytes() == whole.curve_file().read_bytes()


def test_what_a_planned_run_starts_from_stays_whatever_is_kept(outputs) -> None:
    longer = [*ONE_SIZE, "study.blocks.ladder.grid.tokens=[5120,10240,30720]"]
    save_plan(plan_of(*longer))
    found = clean(outputs, "needed")
    assert not found[found["kind"] == "needed"]["goes"].any()
    (new,) = (p for p in plan_of(*longer).runs if p.run.tokens == 30720)
    assert new.start == 256  # the stable part of the 320 steps that were trained before


def test_a_running_runs_family_is_left_alone(outputs) -> None:
    plan = plan_of(*ONE_SIZE, "study.blocks.ladder.grid.tokens=[30720]")
    save_plan(plan)
    claim = Claim.acquire(plan.run_folder(plan.runs[0]), 60.0)
    found = survey(outputs, "needed")
    claim.release("interrupted")
    own = found["path"].map(lambda p: p.parent.name == plan.runs[0].run.family_id)
    assert set(found[own]["kind"]) == {"needed", "in use"} and not found[own]["goes"].any()
    assert found[~own]["goes"].all() and (~own).any()


def test_killed_in_the_middle_it_goes_on(outputs, monkeypatch) -> None:
    done = status(outputs, "tiny")
    found, unlink, left = survey(outputs), Path.unlink, iter([1])

    def dies(path: Path, **options) -> None:
        next(left)
        unlink(path, **options)

    with monkeypatch.context() as patch:
        patch.setattr(Path, "unlink", dies)
        with pytest.raises(StopIteration):
            remove(found)
    assert len(survey(outputs)) == len(found) - 1
    assert remove(found) == found["goes"].sum() - 1
    assert not survey(outputs)["goes"].any()
    assert status(outputs, "tiny").equals(done)


def test_leftovers_and_temporary_files(outputs) -> None:
    runs = {read_json(p)["family_id"]: p.parent for p in outputs.glob("runs/*/run.json")}
    pinned = survey(outputs)["path"][0]
    run = runs[pinned.parent.name]
    leftover = pinned.with_name(f"{pinned.name[:-3]}.{run.name}.pt")
    stray = pinned.with_name(f"{pinned.name[:-3]}.gone4ever.pt")
    old, young = (run / f".DONE.0123456{i}" for i in "ab")
    other = pinned.with_name("mine.pt")
    for path in (leftover, stray, old, young, other):
        path.write_bytes(b"x" * 1500)
    os.utime(old, (time.time() - 4000, time.time() - 4000))
    found = survey(outputs, "weights").set_index("path")
    assert found.loc[leftover, "kind"] == "left over" and found.loc[leftover, "goes"]
    assert found.loc[stray, "kind"] == "unknown" and not found.loc[stray, "goes"]
    assert found.loc[old, "kind"] == "temporary" and found.loc[old, "goes"]
    assert young not in found.index and other not in found.index
    shown = summary(found.reset_index()).set_index("kind")
    assert shown.loc["left over", "size"] == "1.5 kB" and shown.loc["left over", ""] == "goes"
    assert size(999) == "999 B" and size(2_500_000_000) == "2.5 GB"


def test_a_checkpoint_in_parts_is_one(outputs) -> None:
    """It is as large as its parts, which go with it; what nobody names goes after an hour."""
    path = survey(outputs)["path"][0]
    parts, lost, young = (new_parts(path, 2) for _ in range(3))
    for part in (*parts, *lost, *young):
        part.write_bytes(b"x" * 1000)
    for part in (*parts, *lost):
        os.utime(part, (time.time() - 4000, time.time() - 4000))
    kind = survey(outputs).set_index("path").loc[path, "kind"]
    manifest = write_manifest(path, parts)
    path.unlink()
    found = survey(outputs, "needed").set_index("path")
    assert found.loc[manifest, "kind"] == kind and found.loc[manifest, "goes"]
    assert found.loc[manifest, "bytes"] == 2000 + manifest.stat().st_size
    assert set(found[found["kind"] == "temporary"].index) == set(lost)
    clean(outputs, "needed")
    assert list(outputs.glob("checkpoints/*/*.json")) == []
    assert set(outputs.glob("checkpoints/*/*.part")) == set(young)


def test_the_verb_removes_only_when_told_to(outputs, capsys) -> None:
    files = sorted(outputs.glob("checkpoints/*/*"))

    def said(*arguments: str) -> str:
        with pytest.raises(SystemExit) as stopped:
            main(["gc", f"outputs={outputs}", *arguments])
        assert not stopped.value.code
        return capsys.readouterr().out

    assert "would remove" in said() and "would remove" in said("--dry-run")
    assert sorted(outputs.glob("checkpoints/*/*")) == files
    assert "final weights" in (out := said("--keep=branch", "dry_run=false")) and "removed" in out
    assert len(sorted(outputs.glob("checkpoints/*/*"))) < len(files)
    assert "would remove 0 of" in said()
    assert set(KEEP) == {"weights", "branch", "needed"}


def test_what_cannot_be_read_may_need_anything(outputs, caplog) -> None:
    """No checkpoint goes; what is temporary or was set aside goes all the same."""
    checkpoint = next(outputs.glob("checkpoints/*/*.pt"))
    aside = checkpoint.with_name("00000001-x.pt.damaged")
    aside.write_bytes(b"x")
    described = next(outputs.glob("runs/*/run.json"))
    plan = outputs / "studies" / "tiny" / "plan.json"
    for path in (described, plan):
        whole = path.read_text()
        path.write_text("{")
        assert kinds(outputs, "needed") == {"undecided": False, "damaged": True}
        assert f"{path} is damaged: it is not JSON" in caplog.text
        path.write_text(whole)
    assert kinds(outputs, "needed")["final weights"]


def test_a_half_made_store_goes_when_its_maker_has_died(outputs) -> None:
    folder = outputs / "data" / ".text-abcdefgh.01234567"
    folder.mkdir()
    (folder / "train.bin").write_bytes(bytes(1000))
    write_json(folder / "maker.json", this_process().to_dict() | {"process_start": "another"})
    found = clean(outputs).set_index("path")
    assert found.loc[folder, "kind"] == "half a store" and found.loc[folder, "bytes"] > 1000
    assert not folder.exists()
