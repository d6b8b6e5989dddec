"""Parts of a batch change no curve; after a lack of memory the next attempt tries half."""

from __future__ import annotations

import json

import pandas as pd
import pytest
import torch

from scalinglab.scaling.engine.steps.eager import EagerEngine
from scalinglab.scaling.records.claim import Claim
from scalinglab.scaling.training.micro_batch import micro_batch

COLUMNS = ["loss", "grad_norm", "validation_loss"]


def same_curve(one, other) -> None:
    pd.testing.assert_frame_equal(
        pd.read_csv(one.curve_file())[COLUMNS], pd.read_csv(other.curve_file())[COLUMNS], rtol=1e-4
    )


@pytest.fixture
def small_device(monkeypatch):
    """A device whose memory ends in the backward pass of more than so many sequences."""

    def hold(sequences: int) -> None:
        losses = EagerEngine._losses

        def limited(self, tokens_kBT):
            if torch.is_grad_enabled() and tokens_kBT.shape[1] > sequences:
                raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 20.00 GiB")
            return losses(self, tokens_kBT)

        monkeypatch.setattr(EagerEngine, "_losses", limited)

    return hold


def test_a_run_in_parts_has_the_curve_of_the_whole(make_run, train_run, elsewhere):
    whole, parts = elsewhere(), make_run({"execution.micro_batch": 3})
    assert parts.run_id == whole.run_id
    assert train_run(parts) == "done"
    same_curve(parts, whole)
    assert parts.record().machine.micro_batch == 3
    assert whole.record().machine.micro_batch == 4  # all at once


def test_a_lack_of_memory_halves_the_micro_batch(make_run, train_run, elsewhere, small_device):
    undisturbed, folder = elsewhere(), make_run()
    small_device(1)
    tried = []
    while train_run(folder) == "failed":
        end = folder.latest_attempt().end
        assert "OutOfMemoryError" in end.error and end.cause == "gpu_oom"
        tried.append(end.micro_batch)
    assert tried == [4, 2]
    assert folder.run_id == undisturbed.run_id
    assert folder.record().machine.micro_batch == 1
    same_curve(folder, undisturbed)


def test_a_pack_that_lacks_memory_leaves_the_micro_batch_to_its_halves(
    make_run, train_run, small_device
):
    folders = [make_run({"seed": seed}) for seed in (0, 1)]
    small_device(2)
    assert train_run(*folders) == "failed"
    for folder in folders:
        end = folder.latest_attempt().end
        assert (end.cause, end.members, end.micro_batch) == ("gpu_oom", 2, 4)
    assert train_run(folders[0]) == "failed"  # half of the pack, all of the batch
    assert folders[0].latest_attempt().end.members == 1
    assert train_run(folders[0]) == "done"  # and only then half of the batch
    assert folders[0].record().machine.micro_batch == 2


def attempts(folder, *ends):
    """Attempts that have ended so, and a claim of the next."""
    for i, end in enumerate(ends, 1):
        folder.attempts.mkdir(exist_ok=True)
        owner = {"host": "other", "boot": "", "pid": 1, "started": 0.0, "lease_seconds": 1.0}
        folder.attempt_file(i, "json").write_text(json.dumps(owner))
        if end is not None:
            said = {"reason": "failed", "ended": 0.0, **end}
            folder.attempt_file(i, "end").write_text(json.dumps(said))
    return Claim.acquire(folder, 60.0)


def lack(size):
    return {"class": "gpu_oom", "micro_batch": size}


@pytest.mark.parametrize(
    ("ends", "asked", "expected"),
    [
        ([], None, 16),
        ([], 32, 16),
        ([], 5, 5),
        ([lack(16)], None, 8),
        ([lack(16), lack(8)], None, 4),
        ([lack(16), {"class": "infra", "micro_batch": 8}], None, 8),  # another reason
        ([lack(16), None], None, 8),  # preempted after that: still the half
        ([lack(16)], 4, 4),  # a person asked for less
        ([lack(5)], None, 2),
        ([lack(1)], None, 1),  # there is no less
    ],
    ids=str,
)
def test_what_earlier_attempts_met_decides(make_run, ends, asked, expected):
    claim = attempts(make_run(), *ends)
    assert micro_batch(claim, asked, 16) == expected
    claim.release("interrupted")
