"""A run that begins with the weights of another, alone, in a pack, in parts, and after a kill."""

from __future__ import annotations

import itertools
import shutil

import pytest
import torch
from safetensors.torch import save_file

from scalinglab.scaling.engine.trainer.checkpoint import checkpoint_at
from scalinglab.scaling.engine.trainer.evaluation import evaluation_weights
from scalinglab.scaling.engine.trainer.initial import weights_at_start
from scalinglab.scaling.records.damage import DamagedFile
from scalinglab.scaling.records.run_folder import RunFolder

SHORT = {"tokens": 64 * 20}


@pytest.fixture
def source(make_run, train_run) -> RunFolder:
    """A trained run."""
    folder = make_run(SHORT)
    assert train_run(folder) == "done"
    return folder


def after(source: RunFolder, **changes):
    return SHORT | {"init_from.run": source.run_id, "data.seed": 5} | changes


def first_losses(folder: RunFolder, curve_of, count: int = 3) -> list[float]:
    rows = [line.split(",") for line in curve_of(folder).splitlines()[1 : 1 + count]]
    return [float(row[3]) for row in rows]


def test_it_begins_with_what_the_source_ended_with_and_its_id_says_so(
    source, make_run, train_run, curve_of, outputs
):
    folder = make_run(after(source))
    spec = folder.spec()
    end = evaluation_weights(source.spec(), checkpoint_at(outputs, source.spec(), 20))
    begun = weights_at_start(outputs, spec)
    assert all(torch.equal(begun[name], end[name]) for name in begun)
    assert train_run(folder) == "done"
    plain = make_run(SHORT | {"data.seed": 5})
    assert plain.run_id != folder.run_id and plain.spec().family_id != spec.family_id
    assert train_run(plain) == "done"
    assert first_losses(folder, curve_of, 1)[0] < 0.95 * first_losses(plain, curve_of, 1)[0]
    told = folder.record().plain["init_from"]
    assert (told["run"], told["step"], told["left"]) == (source.run_id, 20, [])


def test_a_file_of_the_same_weights_gives_the_same_numbers(
    source, make_run, train_run, curve_of, outputs, tmp_path
):
    end = evaluation_weights(source.spec(), checkpoint_at(outputs, source.spec(), 20))
    file = tmp_path / "w.safetensors"
    save_file(end, file)
    by_run, by_file = (
        make_run(after(source)),
        make_run(SHORT | {"init_from.file": str(file), "data.seed": 5}),
    )
    file.unlink()  # its copy is what counts
    assert by_run.run_id != by_file.run_id
    assert train_run(by_run) == train_run(by_file) == "done"
    assert curve_of(by_run) == curve_of(by_file)


def test_it_goes_on_after_a_kill_to_the_same_bits_and_needs_the_source_no_more(
    source, make_run, train_run, curve_of, outputs, tmp_path
):
    changes = after(source, **{"execution.checkpoint_seconds": 1e-9})
    shutil.copytree(outputs, tmp_path / "undisturbed")
    whole = make_run(changes, below=tmp_path / "undisturbed")
    assert train_run(whole) == "done"
    folder = make_run(changes)
    chunks = itertools.count(1)
    assert train_run(folder, should_stop=lambda: next(chunks) == 3) == "interrupted"
    shutil.rmtree(outputs / "checkpoints" / source.spec().family_id)
    assert train_run(folder) == "done" and folder.record().started_at_step > 0
    assert curve_of(folder) == curve_of(whole)


def test_members_of_a_pack_begin_with_weights_of_their_own(
    source, make_run, train_run, curve_of, tmp_path
):
    other = make_run(SHORT | {"seed": 1})
    assert train_run(other) == "done"
    members = [
        make_run(after(source)),
        make_run(after(other, seed=2)),
        make_run(SHORT | {"data.seed": 5}),
    ]
    alone = [first_losses(f, curve_of) for f in members if train_run(f) == "done"]
    for folder in members:
        shutil.rmtree(folder.outputs / "checkpoints" / folder.spec().family_id)
        for path in (folder.done_file, *folder.attempts.iterdir()):
            path.unlink()
    assert train_run(*members) == "done"
    for folder, losses in zip(members, alone, strict=True):
        assert first_losses(folder, curve_of) == pytest.approx(losses, rel=1e-4)


def test_the_average_of_a_schedule_free_run_is_what_is_taken(make_run, train_run, outputs):
    free = SHORT | {
        "optimizer.name": "schedule_free",
        "schedule": {"kind": "constant", "warmup_tokens": 128},
    }
    source = make_run(free)
    assert train_run(source) == "done"
    checkpoint = checkpoint_at(outputs, source.spec(), 20)
    begun = weights_at_start(outputs, make_run(free | {"init_from.run": source.run_id}).spec())
    name = "blocks.0.up.weight"
    assert not torch.equal(begun[name], checkpoint.state[f"weight/{name}"])
    assert torch.equal(begun[name], evaluation_weights(source.spec(), checkpoint)[name])


@pytest.mark.slow  # four processes, each of which loads torch
def test_processes_begin_alike_whole_and_in_parts(
    source, make_run, train_run, run_with_ranks, curve_of
):
    alone = make_run(after(source))
    assert train_run(alone) == "done"
    losses = first_losses(alone, curve_of)
    for seed, shard in ((7, False), (8, True)):
        folder = make_run(after(source, seed=seed))  # which nothing is drawn by
        assert run_with_ranks(folder, shard=shard) == "done"
        assert first_losses(folder, curve_of) == pytest.approx(losses, rel=1e-5)


def test_weights_that_are_gone_or_damaged_end_the_attempt_with_a_sentence(
    source, make_run, train_run, outputs
):
    folder = make_run(after(source))
    place = folder.spec().initial.place(outputs)
    data = bytearray(place.read_bytes())
    data[len(data) // 2] ^= 255
    place.write_bytes(data)
    with pytest.raises(DamagedFile):
        weights_at_start(outputs, folder.spec())
    place.unlink()
    assert train_run(folder) == "failed"
    assert f"the weights of run {source.run_id} at step 20 are not at" in (
        folder.latest_attempt().end.error
    )
