"""What one run could not hold, its siblings do not try again."""

from __future__ import annotations

import pytest
import torch

from scalinglab.scaling.engine.steps.eager import EagerEngine
from scalinglab.scaling.records import machine
from scalinglab.scaling.records.claim import Claim
from scalinglab.sweeps.config import LaunchConfig
from scalinglab.sweeps.launch.launch import launch
from scalinglab.sweeps.launch.memory_limits import NO_LIMIT, Limit, MemoryLimits
from scalinglab.sweeps.plan.make import make_plan
from scalinglab.sweeps.plan.save import save_plan
from scalinglab.sweeps.store.stored_plan import StoredRun

HERE = machine.device_name("cpu")


def full(folder, **facts) -> None:
    """An attempt that ran out of its device's memory."""
    claim = Claim.acquire(folder, 60.0)
    claim.release("failed", torch.OutOfMemoryError("CUDA out of memory"), **facts)


@pytest.fixture
def runs(make_run) -> list[StoredRun]:
    """Two runs of one shape, and one of another."""
    changes = [{"seed": 0}, {"seed": 1, "optimizer.lr": 0.3}, {"batch": 2}]
    folders = [make_run(change) for change in changes]
    return [StoredRun(folder.run_id, ("fit",), folder=folder) for folder in folders]


def read_limits(runs: list[StoredRun], launched: float = 0.0) -> MemoryLimits:
    limits = MemoryLimits("cpu")
    limits.read(runs, launched)
    return limits


@pytest.mark.parametrize(
    ("facts", "limit"),
    [
        ({"micro_batch": 4}, Limit(micro_batch=2)),
        ({"micro_batch": 1}, Limit(micro_batch=1)),
        ({"micro_batch": 4, "device": HERE}, Limit(micro_batch=2)),
        ({"micro_batch": 4, "device": "a smaller one"}, NO_LIMIT),
        ({"micro_batch": 4, "members": 6, "pack": "one"}, Limit(members=3)),
        ({}, NO_LIMIT),
    ],
)
def test_a_lack_of_memory_counts_for_its_shape_and_its_kind_of_device(runs, facts, limit) -> None:
    full(runs[0].folder, **facts)
    limits = read_limits(runs)
    assert [limits.of(run) for run in runs] == [limit, limit, NO_LIMIT]


def test_the_smallest_that_failed_counts_and_the_next_launch_tries_anew(runs) -> None:
    full(runs[0].folder, micro_batch=4)
    full(runs[1].folder, micro_batch=2)
    full(runs[1].folder, micro_batch=4, members=2, pack="one")
    assert read_limits(runs).of(runs[0]) == Limit(members=1, micro_batch=1)
    later = runs[0].folder.attempt(1).end.ended + 60.0
    assert read_limits(runs, later).of(runs[0]) == NO_LIMIT


def test_only_the_first_of_a_shape_finds_out(study, monkeypatch) -> None:
    train_losses = EagerEngine._losses

    def limited(self, tokens_kBT):
        if torch.is_grad_enabled() and tokens_kBT.shape[1] > 1:
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 20.00 GiB")
        return train_losses(self, tokens_kBT)

    monkeypatch.setattr(EagerEngine, "_losses", limited)
    plan = make_plan(
        study(
            "~study.blocks.curves",
            "study.blocks.ladder.grid.model.width=[8]",
            "study.blocks.ladder.grid.tokens=[1280]",
            "+study.blocks.ladder.grid.seed=[0,1,2]",
        )
    )
    save_plan(plan)
    assert launch(plan.outputs, "tiny", LaunchConfig("inline", pack="off"))
    folders = [plan.run_folder(p) for p in plan.runs]
    assert sorted(len(f.attempt_numbers()) for f in folders) == [1, 1, 3]  # 4, 2, and 1 sequences
    assert {f.record().machine.micro_batch for f in folders} == {1}
