"""State is derived from the folder and never stored."""

import dataclasses
import json
import os

import pytest

from scalinglab.scaling.records.atomic import read_json, write_json
from scalinglab.scaling.records.attempt import Progress
from scalinglab.scaling.records.claim import Claim
from scalinglab.scaling.records.damage import DamagedFile
from scalinglab.scaling.records.state import State


@pytest.fixture
def folder(make_run):
    folder = make_run()
    yield folder
    assert folder.state() in tuple(State)


def finish(claim, status):
    for name in ("record", "curve"):
        (claim.folder.path / name).write_text("{}")
    assert claim.finish(status, 3, {"record": "record", "curve": "curve"})


def age(folder, number, seconds):
    """Let an attempt's last heartbeat lie `seconds` back."""
    beat = folder.attempt_file(number, "beat")
    past = beat.stat().st_mtime - seconds
    os.utime(beat, (past, past))


def test_a_described_run_is_planned(folder):
    assert folder.state() == "planned"
    assert folder.latest_attempt() is None and folder.done() is None


def test_a_claimed_run_is_running(folder):
    claim = Claim.acquire(folder, 60)
    assert folder.state() == "running"
    claim.release("interrupted")


@pytest.mark.parametrize("reason", ["interrupted", "failed"])
def test_an_attempt_that_said_how_it_ended_gives_the_state(folder, reason):
    Claim.acquire(folder, 60).release(reason)
    assert folder.state() == reason


@pytest.mark.parametrize("status", ["done", "diverged"])
def test_done_says_how(folder, status):
    finish(Claim.acquire(folder, 60), status)
    assert folder.state() == status


def test_a_run_that_failed_and_is_tried_again_is_running(folder):
    Claim.acquire(folder, 60).release("failed")
    claim = Claim.acquire(folder, 60)
    assert folder.state() == "running"
    claim.release("failed")


def test_an_attempt_without_a_heartbeat_within_its_lease_is_interrupted(folder):
    claim = Claim.acquire(folder, 60)
    age(folder, 1, 59)
    assert folder.state() == "running"
    age(folder, 1, 2)
    assert folder.state() == "interrupted"
    claim.release("lost")


@pytest.mark.parametrize(
    ("changes", "state"),
    [
        ({}, "running"),
        ({"pid": 2**22 + 1}, "interrupted"),  # no such process
        ({"process_start": "12"}, "interrupted"),  # the number went to another process
        ({"boot": "another"}, "interrupted"),  # the host has been restarted since
        # Of another host only the heartbeat is known.
        ({"host": "elsewhere", "boot": "x", "pid": 2**22 + 1, "process_start": "1"}, "running"),
    ],
    ids=["alive", "gone", "reused", "rebooted", "elsewhere"],
)
def test_the_process_of_an_attempt_decides_where_it_can_be_seen(folder, changes, state):
    claim = Claim.acquire(folder, 60)
    file = folder.attempt_file(1, "json")
    write_json(file, read_json(file) | changes)
    assert folder.state() == state
    claim.release("lost")


def test_an_attempt_killed_before_its_first_heartbeat_lives_for_its_lease(folder):
    claim = Claim.acquire(folder, 60)
    claim.release("interrupted")
    folder.attempt_file(1, "beat").unlink()
    folder.attempt_file(1, "end").unlink()
    assert folder.state() == "running"
    file = folder.attempt_file(1, "json")
    owner = read_json(file)
    write_json(file, owner | {"started": owner["started"] - 61})
    assert folder.state() == "interrupted"


def test_the_latest_attempt_counts_numerically(folder):
    for _ in range(11):
        Claim.acquire(folder, 60).release("interrupted")
    assert folder.latest_attempt().number == 11


def test_a_run_is_described_once(folder):
    first = folder.spec()
    folder.describe(dataclasses.replace(first, run_id="another"))
    assert folder.spec() == first
    assert first.run_id == folder.run_id == folder.path.name


def test_the_description_is_what_a_worker_needs(folder, tiny_run, outputs):
    run, described = tiny_run(), folder.spec()
    assert described.science == run.science
    assert (described.steps, described.tokens) == (run.steps, run.tokens)
    assert described.counts == run.counts and described.flops == run.flops
    assert 0 < described.irreducible_loss < 2.1
    assert folder.outputs == outputs


def test_progress_is_for_display_and_never_an_error(folder):
    assert folder.progress(1) == Progress()
    claim = Claim.acquire(folder, 60)
    claim.report({"step": 3})
    assert folder.progress(1) == Progress(step=3)
    folder.attempt_file(1, "beat").write_text('{"st')
    assert folder.progress(1) == Progress()
    claim.release("interrupted")


def test_a_run_that_is_not_done_has_no_record(folder):
    with pytest.raises(FileNotFoundError):
        folder.record()


def test_a_record_that_was_changed_afterwards_is_not_believed(make_run, train_run):
    folder = make_run()
    train_run(folder)
    path = folder.path / folder.done().record
    path.write_text(path.read_text().replace("wsd", "cosine"))
    with pytest.raises(ValueError, match="was changed after the run had recorded it"):
        folder.record()


# ---------------------------------------------------------------------- damaged files


def test_a_description_that_is_not_its_id_is_refused_naming_both(make_run, tiny_run):
    """As a hand may change it, checksum and all."""
    folder = make_run()
    path = folder.path / "run.json"
    run = read_json(path)
    run["science"]["optimizer"]["weight_decay"] = 0.7
    write_json(path, run)
    other = tiny_run({"optimizer.weight_decay": 0.7}).run_id
    with pytest.raises(
        DamagedFile,
        match=f"run.json is damaged: .* of the run {other}, but its "
        f"folder is that of {folder.run_id}.*remove it",
    ):
        folder.spec()
    assert folder.state_damage().path == path


def test_a_description_of_before_checksums_and_of_other_identity_versions_is_read(make_run):
    folder = make_run()
    path = folder.path / "run.json"
    run = read_json(path)
    path.write_text(json.dumps(run))
    assert folder.spec().to_dict() == run and folder.state_damage() is None
    run["science"]["identity_version"] = 0  # its ids were made in another way
    path.write_text(json.dumps(run))
    assert folder.spec().to_dict() == run


@pytest.mark.parametrize(
    ("content", "why"),
    [
        ("", "it is empty"),
        ('{"run', "it is not JSON"),
        ("[]", "of the type list, not an object"),
        ("{}", "it has no key 'run_id'"),
        ('{"run_id": 3}', "run_id = '3' has an unexpected type"),
    ],
)
def test_what_is_no_description_is_named(make_run, content, why):
    folder = make_run()
    (folder.path / "run.json").write_text(content)
    with pytest.raises(DamagedFile, match=f"{folder.run_id}/run.json is damaged: .*{why}"):
        folder.spec()


def test_one_changed_digit_is_found(make_run):
    folder = make_run()
    path = folder.path / "run.json"
    path.write_text(path.read_text().replace('"bytes_per_token": 1.0', '"bytes_per_token": 1.5'))
    with pytest.raises(DamagedFile, match="does not match its checksum"):
        folder.spec()


def test_damaged_words_of_an_attempt_hold_up_nothing(make_run):
    """Its end was an interruption, its owner is unknown and holds the run while its heart beats."""
    folder = make_run()
    Claim.acquire(folder, 60).release("failed", ValueError("x"))
    folder.attempt_file(1, "end").write_text('{"reason')
    assert folder.state() == "interrupted"
    folder.attempt_file(1, "end").unlink()
    folder.attempt_file(1, "json").write_bytes(b"\0" * 100)
    assert folder.state() == "running"
    os.utime(folder.attempt_file(1, "beat"), (1, 1))
    assert folder.state() == "interrupted"
    for said in ('{"step": "many"}', '{"validation": {"x": 1}}'):
        folder.attempt_file(1, "beat").write_text(said)
        assert folder.progress(1) == Progress()


def test_an_owner_of_the_wrong_shape_is_unknown(make_run):
    folder = make_run()
    Claim.acquire(folder, 60).release("interrupted")
    path = folder.attempt_file(1, "json")
    write_json(path, read_json(path) | {"job": 3})
    assert folder.attempt(1).owner.host == "unknown"


def test_a_stop_without_a_step_is_damaged(make_run):
    folder = make_run()
    folder.stop({"step": "many"})
    assert folder.state() == "damaged"
    with pytest.raises(DamagedFile, match="STOPPED is damaged: its step is no number"):
        folder.stopped()


def test_a_claim_never_takes_the_number_of_one_whose_file_was_lost(make_run):
    folder = make_run()
    Claim.acquire(folder, 60).release("interrupted")
    folder.attempt_file(1, "json").unlink()
    claim = Claim.acquire(folder, 60)
    assert claim.number == 2 and folder.state() == "running"
    claim.release("interrupted")


def test_a_run_whose_end_cannot_be_read_is_damaged(make_run):
    folder = make_run()
    folder.done_file.write_text('{"status": "dome"}')
    assert folder.state() == "damaged" and folder.state_damage().path == folder.done_file
