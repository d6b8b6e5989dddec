"""A checkpoint is found by every run that shares its prefix and by no other."""

import pytest

from scalinglab.scaling.records.prefixes import checkpoint_path, stored_checkpoints


def place(outputs, run, step, owner=""):
    path = checkpoint_path(outputs, run.science, step, owner)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.touch()
    return path


def found(outputs, run):
    return [step for step, _ in stored_checkpoints(outputs, run.science)]


def test_a_run_finds_the_trunk_of_its_sibling_but_not_its_cooldown(tmp_path, tiny_run):
    short, long = tiny_run({"tokens": 64 * 40}), tiny_run({"tokens": 64 * 80})
    for step in (10, 30, 40):
        place(tmp_path, short, step)
    assert found(tmp_path, short) == [40, 30, 10]  # the furthest first
    assert found(tmp_path, long) == [30, 10]


def test_a_shorter_run_does_not_find_what_lies_beyond_its_end(tmp_path, tiny_run):
    long = tiny_run({"schedule.kind": "constant", "tokens": 64 * 80})
    short = tiny_run({"schedule.kind": "constant", "tokens": 64 * 20})
    for step in (10, 20, 50):
        place(tmp_path, long, step)
    assert found(tmp_path, short) == [20, 10]


@pytest.mark.parametrize(
    "change", [{"seed": 1}, {"model.heads": 1}, {"optimizer.lr": 0.02}, {"data.seed": 3}], ids=str
)
def test_a_run_of_other_science_finds_nothing(tmp_path, tiny_run, change):
    place(tmp_path, tiny_run(), 10)
    assert found(tmp_path, tiny_run(change)) == []


def test_a_runs_own_latest_checkpoint_lies_beside_the_pinned_ones(tmp_path, tiny_run):
    run = tiny_run()
    pinned, latest = place(tmp_path, run, 10), place(tmp_path, run, 20, owner=run.run_id)
    assert [path for _, path in stored_checkpoints(tmp_path, run.science)] == [latest, pinned]
    assert pinned.parent == latest.parent and pinned.parent.name == run.family_id


def test_files_that_are_being_written_are_not_candidates(tmp_path, tiny_run):
    path = place(tmp_path, tiny_run(), 10)
    path.rename(path.with_name(f".{path.name}.0123abcd"))
    assert found(tmp_path, tiny_run()) == []
