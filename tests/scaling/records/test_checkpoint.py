"""A checkpoint holds a training whole: state, step and the curve so far, by name."""

import logging

import numpy as np
import pytest
import torch

from scaling.records.checkpoint import (
    Checkpoint,
    furthest_checkpoint,
    load_checkpoint,
    save_checkpoint,
)
from scaling.records.identity import prefix_id
from scaling.records.prefixes import checkpoint_path
from scaling.records.record import Curve


def make(run, step, validation=()):
    rng = np.random.default_rng(step)
    curve = Curve(*rng.random((2, step)).astype(np.float32), {s: 1.0 / s for s in validation})
    state = {"weight/a.b": torch.randn(3, 2), "first/a.b": torch.randn(3, 2)}
    return Checkpoint(step, prefix_id(run.science, step), state, curve)


def save(outputs, run, step, validation=(), owner=""):
    path = checkpoint_path(outputs, run.science, step, owner)
    save_checkpoint(path, make(run, step, validation))
    return path


def test_it_comes_back_to_the_bit(tmp_path, tiny_run):
    saved = make(tiny_run(), 5, [2, 5])
    save_checkpoint(tmp_path / "a.pt", saved)
    loaded = load_checkpoint(tmp_path / "a.pt")
    assert (loaded.step, loaded.prefix_id) == (5, saved.prefix_id)
    assert loaded.curve.validation == {2: 0.5, 5: 0.2}
    assert np.array_equal(loaded.curve.loss, saved.curve.loss)
    assert np.array_equal(loaded.curve.grad_norm, saved.curve.grad_norm)
    assert loaded.state.keys() == saved.state.keys()
    assert all(torch.equal(loaded.state[k], saved.state[k]) for k in saved.state)


def test_losses_that_are_not_finite_come_back(tmp_path, tiny_run):
    saved = make(tiny_run(), 3)
    saved.curve.loss[1:] = np.nan, np.inf
    save_checkpoint(tmp_path / "a.pt", saved)
    assert np.array_equal(load_checkpoint(tmp_path / "a.pt").curve.loss, saved.curve.loss, True)


def test_another_format_is_refused(tmp_path):
    torch.save({"format": 99}, tmp_path / "a.pt")
    with pytest.raises(ValueError, match="has the format 99; this code reads 1"):
        load_checkpoint(tmp_path / "a.pt")


# ---------------------------------------------------------------------- where a run starts


def test_a_run_without_checkpoints_starts_at_the_beginning(tmp_path, tiny_run):
    assert furthest_checkpoint(tmp_path, tiny_run().science, []) is None


def test_it_starts_from_the_furthest(tmp_path, tiny_run):
    for step in (5, 20, 10):
        save(tmp_path, tiny_run(), step)
    assert furthest_checkpoint(tmp_path, tiny_run().science, []).step == 20


@pytest.mark.parametrize("damage", ["truncated", "empty", "text", "flipped"])
def test_an_unreadable_checkpoint_is_passed_over_with_a_warning(
    tmp_path, tiny_run, damage, caplog
):
    save(tmp_path, tiny_run(), 10)
    path = save(tmp_path, tiny_run(), 20)
    content = path.read_bytes()
    half = len(content) // 2
    path.write_bytes({
        "truncated": content[:half],
        "empty": b"",
        "text": b"not a checkpoint",
        "flipped": content[:40] + bytes(200) + content[240:],
    }[damage])  # fmt: skip
    with caplog.at_level(logging.WARNING):
        assert furthest_checkpoint(tmp_path, tiny_run().science, []).step == 10
    assert path.name in caplog.text and "unreadable" in caplog.text


def test_a_checkpoint_without_a_measurement_that_the_run_plans_is_no_start(tmp_path, tiny_run):
    save(tmp_path, tiny_run(), 10, [4, 8])
    save(tmp_path, tiny_run(), 20, [4])
    assert furthest_checkpoint(tmp_path, tiny_run().science, [4, 8]).step == 10


def test_measurements_that_only_another_run_planned_are_left_out(tmp_path, tiny_run):
    """Else the curve would tell whose checkpoint it was."""
    save(tmp_path, tiny_run(), 20, [4, 8, 20])
    assert furthest_checkpoint(tmp_path, tiny_run().science, [8, 30]).curve.validation == {8: 1 / 8}


def test_the_measurement_at_the_start_itself_may_be_missing(tmp_path, tiny_run):
    """It is made when the run starts from there."""
    save(tmp_path, tiny_run(), 20, [8])
    assert furthest_checkpoint(tmp_path, tiny_run().science, [8, 20]).step == 20
