"""Packs on their whole way: planned, launched, split, recorded."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest
import torch

from scalinglab.cli import main
from scalinglab.scaling.engine.steps.eager import EagerEngine
from scalinglab.scaling.engine.trainer.trainer import train
from scalinglab.scaling.records.atomic import read_json, write_json
from scalinglab.sweeps.config import LaunchConfig
from scalinglab.sweeps.launch import worker
from scalinglab.sweeps.launch.launch import launch
from scalinglab.sweeps.launch.remaining import why_stopped
from scalinglab.sweeps.plan.make import make_plan
from scalinglab.sweeps.plan.save import save_plan
from scalinglab.sweeps.store.status import status
from scalinglab.sweeps.store.stored_plan import read_plan

LRS = [round(1e-3 * 1.4**i, 6) for i in range(16)]
SWEEP = [
    "~study.blocks.curves",
    "study.blocks.ladder.grid.model.width=[8]",
    "study.blocks.ladder.grid.tokens=[2560]",
    f"+study.blocks.ladder.grid.optimizer={{lr: {LRS}}}",
]
FOUR = [*SWEEP[:-1], f"+study.blocks.ladder.grid.optimizer={{lr: {LRS[:4]}}}"]


def planned(study, *overrides: str):
    plan = make_plan(study(*overrides))
    save_plan(plan)
    return plan


def scaling(*arguments: str) -> None:
    """The command, in this process."""
    with pytest.raises(SystemExit) as end:
        main(list(arguments))
    assert end.value.code == 0


def members(plan) -> list[int]:
    """How many each run was trained with."""
    return [plan.run_folder(p).record().throughput.members for p in plan.runs]


def losses(plan) -> pd.Series:
    return status(plan.outputs, "tiny").set_index("run_id")["loss"].sort_index()


@pytest.mark.long
def test_a_sweep_of_sixteen_rates_is_one_pack_and_sixteen_records(study, tmp_path, capsys) -> None:
    outputs = tmp_path / "packed"
    arguments = ["study=tiny", *SWEEP, f"outputs={outputs}", "launch.pack=16", "launch=inline"]
    study()  # the folder in which the study lies is the current one
    scaling("launch", *arguments)
    out = " ".join(capsys.readouterr().out.split())
    assert "packs: 16 runs of width 8" in out and "in 1 of up to 16; they differ in LR" in out
    packed = make_plan(study(*SWEEP, f"outputs={outputs}"))
    assert members(packed) == [16] * 16
    assert len({packed.run_folder(p).attempt(1).owner.pid for p in packed.runs}) == 1
    fourth = f"+study.blocks.ladder.grid.optimizer={{lr: {LRS[3::4]}}}"
    seeds = planned(
        study,
        *SWEEP[:-1],
        fourth,
        "+study.blocks.ladder.grid.seed=[0,1]",
        f"outputs={tmp_path}/alone",
    )
    launch(seeds.outputs, "tiny", LaunchConfig("inline", pack="off"))
    one, other = losses(packed), losses(seeds)
    both = other.index.intersection(one.index)  # four of the sixteen, and another seed of theirs
    noise = (other[~other.index.isin(both)].to_numpy() - other[both].to_numpy()).std()
    assert len(both) == 4 and (one[both] - other[both]).abs().max() < 0.01 * noise
    scaling("launch", *arguments)
    assert "nothing is left to train" in " ".join(capsys.readouterr().out.split())


@pytest.fixture
def small_device(monkeypatch):
    """A device that holds so many members and no more."""

    def hold(most: int) -> None:
        train_losses = EagerEngine._losses

        def limited(self, tokens_kBT):
            if torch.is_grad_enabled() and self.members > most:
                raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 20.00 GiB")
            return train_losses(self, tokens_kBT)

        monkeypatch.setattr(EagerEngine, "_losses", limited)

    return hold


def test_a_pack_that_memory_cannot_hold_is_halved_until_it_can(study, small_device) -> None:
    plan = planned(study, *FOUR)
    small_device(1)
    assert launch(plan.outputs, "tiny", LaunchConfig("inline", pack=4))
    assert members(plan) == [1] * 4
    tried = []
    for p in plan.runs:
        folder = plan.run_folder(p)
        ends = [folder.attempt(n).end for n in folder.attempt_numbers()]
        assert {e.cause for e in ends[:-1]} == {"gpu_oom"} and ends[-1].reason == "done"
        tried.append([e.members for e in ends[:-1]])
        # The whole batch: no lack of memory was met alone.
        assert folder.record().machine.micro_batch == 4
    assert sorted(tried) == [[4], [4], [4, 2], [4, 2]]  # the second half starts with what was left


def test_a_canary_is_a_pack(study, monkeypatch) -> None:
    plan = planned(study, *FOUR)
    sizes = []

    def watched(claims, pins, execution, should_stop):
        sizes.append(len(claims))
        train(claims, pins, execution, should_stop)

    monkeypatch.setattr(worker, "_trainer", lambda name: watched)
    launch(plan.outputs, "tiny", LaunchConfig("inline", canary=1, pack=2))
    assert sizes == [2, 2]


def test_a_pack_that_fails_is_one_failure(study, monkeypatch) -> None:
    """The breaker opens at the third; the members of one pack are no three witnesses."""
    plan = planned(study, *FOUR)
    sizes = []

    def broken(claims, pins, execution, should_stop):
        sizes.append(len(claims))
        for claim in claims:
            claim.release("failed", KeyError("wsd"), pack=claims[0].folder.run_id, members=2)

    monkeypatch.setattr(worker, "_trainer", lambda name: broken)
    launch(plan.outputs, "tiny", LaunchConfig("inline", pack=2))
    assert sizes == [2, 2] and why_stopped(plan.outputs, "tiny") is None


def test_the_size_that_the_plan_chose_is_what_auto_takes(study, tmp_path) -> None:
    from dataclasses import replace

    plan = make_plan(study(*FOUR))
    save_plan(replace(plan, runs=[replace(p, pack=2) for p in plan.runs]))
    stored = read_plan(plan.outputs, "tiny").runs
    assert len({r.kind for r in stored}) == 1 and {r.pack for r in stored} == {2}
    launch(plan.outputs, "tiny", LaunchConfig("inline"))
    assert members(plan) == [2] * 4


def test_a_plan_that_was_stored_before_there_were_kinds_trains_alone(study) -> None:
    plan = planned(study, *FOUR)
    path = Path(plan.folder / "plan.json")
    stored = read_json(path)
    for run in stored["runs"]:
        del run["kind"], run["pack"]
    write_json(path, stored)
    launch(plan.outputs, "tiny", LaunchConfig("inline", pack=4))
    assert members(plan) == [1] * 4


def test_while_it_trains_a_pack_is_shown_as_one(study, monkeypatch) -> None:
    plan = planned(study, *FOUR)
    seen = []

    def watched(claims, pins, execution, should_stop):
        def look() -> bool:
            found = status(plan.outputs, "tiny")
            seen.append((set(found["pack"]), set(found["note"])))
            return False

        train(claims, pins, execution, look)

    monkeypatch.setattr(worker, "_trainer", lambda name: watched)
    launch(plan.outputs, "tiny", LaunchConfig("inline", pack=4))
    names, notes = seen[0]
    assert len(names) == 1 and names != {""} and notes == {"one of 4 in a pack"}
    after = status(plan.outputs, "tiny")
    assert set(after["pack"]) == {""} and set(after["note"]) == {""}
