"""A checkpoint holds a training whole: state, step and the curve so far, by name."""

import logging
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from scalinglab.scaling.engine.trainer.checkpoint import (
    Checkpoint,
    furthest_checkpoint,
    load_checkpoint,
    save_checkpoint,
    save_part,
)
from scalinglab.scaling.records.curve import Curve
from scalinglab.scaling.records.damage import DamagedFile
from scalinglab.scaling.records.identity import prefix_id
from scalinglab.scaling.records.parts import new_parts, remove_checkpoint, write_manifest
from scalinglab.scaling.records.prefixes import checkpoint_path, stored_checkpoints

# Of the curve at step 20, as its tensor lies in the file.
LOSS = np.random.default_rng(20).random((2, 20)).astype(np.float32)[0].tobytes()


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


# ---------------------------------------------------------------------- in parts


def save_parts(outputs, run, step, sizes=(2, 1, 0), owner=""):
    """A checkpoint of three ranks, which have so many rows; what is no parameter's has rank 0."""
    whole = make(run, step)
    split = {key: value.split(sizes) for key, value in whole.state.items()}
    state = [{key: rows[rank] for key, rows in split.items()} for rank in range(len(sizes))]
    parts = new_parts(checkpoint_path(outputs, run.science, step, owner), len(sizes))
    for part, own in zip(parts[1:], state[1:], strict=True):
        save_part(part, own)
    state[0]["momentum/product"] = torch.ones(1, dtype=torch.float64)
    save_checkpoint(parts[0], replace(whole, state=state[0]))
    return whole, parts


def test_parts_are_a_checkpoint_once_there_is_a_manifest(tmp_path, tiny_run):
    run = tiny_run()
    save(tmp_path, run, 10)
    whole, parts = save_parts(tmp_path, run, 20)
    assert furthest_checkpoint(tmp_path, run.science, []).step == 10
    write_manifest(checkpoint_path(tmp_path, run.science, 20), parts)
    found = furthest_checkpoint(tmp_path, run.science, [])
    assert found.step == 20 and np.array_equal(found.curve.loss, whole.curve.loss)
    assert set(found.state) == {*whole.state, "momentum/product"} and len(found.state) == 3
    assert all(torch.equal(found.state[k], value) for k, value in whole.state.items())
    assert found.state["momentum/product"].item() == 1


def test_a_saving_that_was_killed_leaves_what_was_there(tmp_path, tiny_run):
    """At the same step, too: it writes over no part."""
    run = tiny_run()
    whole, parts = save_parts(tmp_path, run, 20, owner=run.run_id)
    path = write_manifest(checkpoint_path(tmp_path, run.science, 20, run.run_id), parts)
    _, begun = save_parts(tmp_path, run, 20, owner=run.run_id)
    assert not {p.name for p in begun} & {p.name for p in parts}
    begun[0].write_bytes(b"half")
    assert torch.equal(load_checkpoint(path).state["weight/a.b"], whole.state["weight/a.b"])


def test_a_checkpoint_without_one_of_its_parts_is_passed_over(tmp_path, tiny_run, caplog):
    run = tiny_run()
    save(tmp_path, run, 10)
    _, parts = save_parts(tmp_path, run, 20)
    path = write_manifest(checkpoint_path(tmp_path, run.science, 20), parts)
    parts[1].unlink()
    assert furthest_checkpoint(tmp_path, run.science, []).step == 10
    path.write_text("{")
    with caplog.at_level(logging.WARNING):
        assert furthest_checkpoint(tmp_path, run.science, []).step == 10
    assert path.name in caplog.text


def test_a_checkpoint_goes_with_its_parts_and_before_them(tmp_path, tiny_run, monkeypatch):
    run, order, unlink = tiny_run(), [], Path.unlink
    _, parts = save_parts(tmp_path, run, 20)
    path = write_manifest(checkpoint_path(tmp_path, run.science, 20), parts)
    monkeypatch.setattr(Path, "unlink", lambda p, **k: (order.append(p), unlink(p, **k)))
    assert remove_checkpoint(path) and order == [path, *parts]
    assert not remove_checkpoint(path)
    assert stored_checkpoints(tmp_path, run.science) == []


# ---------------------------------------------------------------------- where a run starts


def test_a_run_without_checkpoints_starts_at_the_beginning(tmp_path, tiny_run):
    assert furthest_checkpoint(tmp_path, tiny_run().science, []) is None


def test_it_starts_from_the_furthest(tmp_path, tiny_run):
    for step in (5, 20, 10):
        save(tmp_path, tiny_run(), step)
    assert furthest_checkpoint(tmp_path, tiny_run().science, []).step == 20


@pytest.mark.parametrize("damage", ["truncated", "empty", "text", "flipped", "one bit"])
def test_a_damaged_checkpoint_is_set_aside(tmp_path, tiny_run, damage, caplog):
    save(tmp_path, tiny_run(), 10)
    path = save(tmp_path, tiny_run(), 20)
    content = path.read_bytes()
    half = len(content) // 2
    path.write_bytes(
        {
            "truncated": content[:half],
            "empty": b"",
            "text": b"not a checkpoint",
            "flipped": content[:40] + bytes(200) + content[240:],
            "one bit": content.replace(LOSS, bytes([LOSS[0] ^ 1]) + LOSS[1:]),
        }[damage]
    )
    with caplog.at_level(logging.WARNING):
        assert furthest_checkpoint(tmp_path, tiny_run().science, []).step == 10
    assert f"{path} is damaged" in caplog.text and "renamed to" in caplog.text
    assert not path.exists() and path.with_name(path.name + ".damaged").exists()


def test_one_bit_of_a_checkpoint_is_found_or_means_nothing(tmp_path, tiny_run):
    """torch reads it without a word; every 13th bit, for all of them take a minute."""
    path = tmp_path / "a.pt"
    save_checkpoint(path, saved := make(tiny_run(), 5, [2]))
    content, outcomes = path.read_bytes(), set()
    for bit in range(0, 8 * len(content), 13):
        damaged = bytearray(content)
        damaged[bit // 8] ^= 1 << bit % 8
        path.write_bytes(damaged)
        try:
            loaded = load_checkpoint(path)
        except DamagedFile as error:
            assert str(path) in str(error)
            outcomes.add("named")
            continue
        outcomes.add("the same")
        assert (loaded.step, loaded.prefix_id) == (5, saved.prefix_id)
        assert np.array_equal(loaded.curve.loss, saved.curve.loss)
        assert all(torch.equal(loaded.state[k], saved.state[k]) for k in saved.state)
    assert outcomes == {"named", "the same"}


def test_a_checkpoint_under_the_name_of_another_is_set_aside(tmp_path, tiny_run, caplog):
    save(tmp_path, tiny_run(), 10)
    path = save(tmp_path, tiny_run(), 20)
    shutil.copy(save(tmp_path, tiny_run({"seed": 7}), 20), path)
    assert furthest_checkpoint(tmp_path, tiny_run().science, []).step == 10
    assert "it holds step 20 of" in caplog.text and not path.exists()


def test_a_lack_of_memory_is_no_damage(tmp_path, tiny_run, monkeypatch):
    path = save(tmp_path, tiny_run(), 20)

    def lacks(*args, **options):
        raise RuntimeError("DefaultCPUAllocator: can't allocate memory")

    monkeypatch.setattr(torch, "load", lacks)
    assert furthest_checkpoint(tmp_path, tiny_run().science, []) is None and path.exists()


def test_a_damaged_part_sets_its_checkpoint_aside(tmp_path, tiny_run, caplog):
    run = tiny_run()
    save(tmp_path, run, 10)
    _, parts = save_parts(tmp_path, run, 20)
    path = write_manifest(checkpoint_path(tmp_path, run.science, 20), parts)
    parts[1].write_bytes(parts[1].read_bytes()[:-100])
    assert furthest_checkpoint(tmp_path, run.science, []).step == 10
    assert f"its part {parts[1].name}" in caplog.text and not path.exists()


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
