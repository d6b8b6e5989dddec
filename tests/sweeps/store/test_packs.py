"""Which runs may train together, and which of them form a pack."""

from __future__ import annotations

import os
from dataclasses import replace

import numpy as np
import pytest

from scalinglab.scaling.config import ExecutionConfig, TrainerConfig
from scalinglab.scaling.engine.trainer.checkpoint import Checkpoint, save_checkpoint
from scalinglab.scaling.records.claim import Claim
from scalinglab.scaling.records.curve import Curve
from scalinglab.scaling.records.identity import prefix_id
from scalinglab.scaling.records.prefixes import checkpoint_path
from scalinglab.scaling.training.events import validation_steps
from scalinglab.sweeps.launch.work_list import without_survivors
from scalinglab.sweeps.launch.worker import _claim
from scalinglab.sweeps.store.packs import (
    companions,
    form_packs,
    pack_kind,
    unpackable_reason,
    vanished_pack,
)
from scalinglab.sweeps.store.stored_plan import StoredRun


def kind(run, **execution) -> str | None:
    return pack_kind(run, ExecutionConfig(**execution))


@pytest.mark.parametrize(
    "changes",
    [
        {"seed": 1},
        {"optimizer.lr": 0.5},
        {"optimizer.weight_decay": 0.0},
        {"optimizer.beta2": 0.9},
        {"data.seed": 5},
        {"schedule.kind": "cosine"},
        {"optimizer.clip": 2.0},
    ],
    ids=str,
)
def test_members_may_differ_in_numbers(tiny_run, changes) -> None:
    assert kind(tiny_run(changes)) == kind(tiny_run())


@pytest.mark.parametrize(
    "changes",
    [
        {"model.width": 32},
        {"batch": 2, "tokens": 32 * 40},
        {"tokens": 64 * 41},
        {"optimizer.name": "lion"},
        {"data.unique_tokens": 64 * 100},
        {"model.rope_base": 500.0},
    ],
    ids=str,
)
def test_members_may_differ_in_nothing_else(tiny_run, changes) -> None:
    assert kind(tiny_run(changes)) != kind(tiny_run())


def test_what_cannot_be_packed_says_why(tiny_run) -> None:
    run = tiny_run()
    trainer = TrainerConfig("command", "mine")
    program = replace(run, config=replace(run.config, trainer=trainer))
    assert "another program" in unpackable_reason(program, ExecutionConfig())
    assert "execution.processes" in unpackable_reason(run, ExecutionConfig(processes=2))
    assert "execution.recompute" in unpackable_reason(run, ExecutionConfig(recompute=True))
    assert (
        kind(tiny_run(), processes=2) is None and unpackable_reason(run, ExecutionConfig()) is None
    )


def test_packs_are_filled_in_order() -> None:
    assert form_packs("aabxaab", lambda c: None if c == "x" else c, lambda c: 3) == [
        ["a", "a", "a"],
        ["b", "b"],
        ["x"],
        ["a"],
    ]
    assert form_packs("aab", lambda c: c, lambda c: 1) == [["a"], ["a"], ["b"]]


# ---------------------------------------------------------------------- at run time


@pytest.fixture
def stored(make_run):
    """Some planned runs of one kind, as workers see them."""

    def made(count: int) -> list[StoredRun]:
        folders = [make_run({"seed": s}) for s in range(count)]
        return [
            StoredRun(folder.run_id, ("fit",), kind="kind", pack=count, folder=folder)
            for folder in folders
        ]

    return made


def saved_at(run: StoredRun, *steps: int) -> None:
    """Leave checkpoints without tensors."""
    spec = run.folder.spec()
    for step in steps:
        path = checkpoint_path(run.folder.outputs, spec.science, step, run.run_id)
        measured = {s: 1.0 for s in validation_steps(spec.pieces) if s <= step}
        curve = Curve(*np.ones((2, step), np.float32), measured)
        save_checkpoint(path, Checkpoint(step, prefix_id(spec.science, step), {}, curve))


def was_in_a_pack(runs: list[StoredRun], saved: int) -> None:
    """Attempts of one killed process, as their beats tell of them."""
    for run in runs:
        claim = Claim.acquire(run.folder, 60.0)
        claim.report({"start": 0, "saved": saved, "pack": "one", "members": len(runs)})
        claim._stop.set()


def expire(run: StoredRun) -> None:
    """End the lease of a run's attempt."""
    os.utime(run.folder.attempt_file(run.folder.attempt_numbers()[-1], "beat"), (1, 1))


def test_only_runs_that_start_together_share_a_pack(stored) -> None:
    runs = stored(4)
    saved_at(runs[1], 8)
    saved_at(runs[2], 8)
    assert companions(runs, 4) == [runs[0], runs[3]]
    assert companions(runs[1:], 4) == [runs[1], runs[2]]
    assert companions(runs, 1) == [runs[0]]
    other = [replace(runs[0], kind=None), *runs[1:]]
    assert companions(other, 4) == other[:1]


@pytest.mark.parametrize("first", [0, 2])
def test_a_pack_that_was_killed_while_it_was_saved_forms_again(stored, first) -> None:
    """Two members have the newer checkpoint, one has not: all go back to the one before."""
    runs = stored(3)
    was_in_a_pack(runs, saved=8)
    saved_at(runs[0], 8, 16)
    saved_at(runs[1], 8, 16)
    saved_at(runs[2], 8)
    order = runs[first:] + runs[:first]
    assert companions(order, 3) == order


def test_nobody_goes_back_further_than_one_save(stored) -> None:
    """A run whose checkpoint is gone starts again without the others."""
    runs = stored(3)
    was_in_a_pack(runs, saved=16)
    saved_at(runs[0], 16)
    saved_at(runs[1], 16)
    assert companions(runs, 3) == runs[:2]
    assert companions(runs[2:] + runs[:2], 3) == [runs[2]]


def test_members_whose_lease_ended_first_wait_for_the_rest_of_their_pack(stored) -> None:
    runs = stored(3)
    was_in_a_pack(runs[:2], saved=0)
    expire(runs[0])
    assert vanished_pack(runs[0].folder) == "one"
    assert without_survivors([runs[0], runs[2]], [runs[1]]) == [runs[2]]
    assert without_survivors([runs[0], runs[2]], []) == [runs[0], runs[2]]


def test_a_worker_claims_a_pack_and_the_next_one_the_rest(stored) -> None:
    runs = stored(5)
    first = _claim(runs, 60.0, lambda r: 3)
    second = _claim(runs, 60.0, lambda r: 3)
    assert [c.folder.run_id for c in first + second] == [r.run_id for r in runs]
    assert (len(first), len(second)) == (3, 2) and _claim(runs, 60.0, lambda r: 3) == []
    for claim in first + second:
        claim.release("interrupted")


def test_a_pack_that_ran_out_of_memory_comes_back_in_halves(stored) -> None:
    runs = stored(6)
    lack = type("OutOfMemoryError", (RuntimeError,), {})("CUDA out of memory")
    for claim in _claim(runs, 60.0, lambda r: 6):
        claim.release("failed", lack, pack="one", members=6)
    halves = [_claim(runs, 60.0, lambda r: 6) for _ in range(2)]
    assert [len(half) for half in halves] == [3, 3]
    for claim in halves[0] + halves[1]:
        claim.release("failed", lack, pack="one", members=3)
    assert [len(_claim(runs, 60.0, lambda r: 6)) for _ in range(6)] == [1] * 6
