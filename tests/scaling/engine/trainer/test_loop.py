"""A run's curve never depends on how it came about: alone, resumed, branched or packed."""

import itertools
import json
import logging
import shutil

import pandas as pd
import pytest
import torch

from scalinglab.scaling.config import ExecutionConfig
from scalinglab.scaling.data.store import Corpus, TokenStore
from scalinglab.scaling.data.write_store import write_store
from scalinglab.scaling.engine.steps.eager import EagerEngine
from scalinglab.scaling.engine.trainer.checkpoint import load_checkpoint
from scalinglab.scaling.engine.trainer.loop import Training
from scalinglab.scaling.records.claim import Claim
from scalinglab.scaling.records.prefixes import stored_checkpoints

TIMING = ("throughput", "machine", "attempt", "started_at_step")


def stop_after(chunks):
    """A question that is answered yes after so many chunks."""
    asked = itertools.count(1)
    return lambda: next(asked) >= chunks


def stop_at(folder, step):
    """Yes as soon as the run has got so far."""
    return lambda: folder.progress(folder.latest_attempt().number).reached >= step


def science_of(folder):
    """A record without what an attempt adds."""
    return {k: v for k, v in folder.record().plain.items() if k not in TIMING}


# ---------------------------------------------------------------------- one run


def test_a_run_leaves_one_row_a_step_and_a_record(make_run, train_run, curve_of, tiny_run):
    folder, run = make_run(), tiny_run()
    assert train_run(folder) == "done"
    assert folder.state() == "done"
    frame = pd.read_csv(folder.curve_file())
    assert frame["step"].tolist() == list(range(1, 41))
    assert frame["loss"].notna().all() and frame["grad_norm"].gt(0).all()
    measured = frame.dropna(subset="validation_loss")
    assert measured["step"].tolist() == [31, 32, 33, 35, 36, 37, 38, 40]
    record = folder.record()
    assert record.spec.science == run.science and record.spec.family_id == run.family_id
    assert record.final.validation_loss == measured["validation_loss"].iloc[-1]
    assert record.final.validation_loss < measured["validation_loss"].iloc[0] + 0.1
    assert (record.attempt, record.started_at_step, record.steps) == (1, 0, 40)
    assert record.status == "done" and record.code.fingerprint


def test_the_record_says_which_engine_stepped_and_why_not_another(make_run, train_run):
    folder = make_run({"execution.engine": "captured"})
    assert train_run(folder) == "done"
    place = folder.record().machine
    assert (place.engine, place.engine_asked, place.replayed) == (
        "eager",
        "captured",
        False,
    )
    assert place.engine_why == "there are graphs on CUDA devices only"
    assert place.packs == [1]


def test_it_learns(make_run, train_run):
    folder = make_run({"tokens": 64 * 250})
    train_run(folder)
    record = folder.record()
    start, end = pd.read_csv(folder.curve_file())["loss"].iloc[[0, -1]]
    assert end < start - 0.3
    assert record.final.validation_loss > record.final.irreducible_loss


def test_training_the_same_run_again_gives_the_same_bits(make_run, train_run, elsewhere, curve_of):
    folder = make_run()
    train_run(folder)
    assert curve_of(folder) == curve_of(elsewhere())
    assert folder.curve_file().read_bytes() == elsewhere().curve_file().read_bytes()
    assert science_of(folder) == science_of(elsewhere())


def test_only_checkpoints_that_others_may_start_from_stay(make_run, train_run, tiny_run, outputs):
    train_run(make_run(), pins=[12])
    steps = [step for step, path in stored_checkpoints(outputs, tiny_run().science)]
    assert steps == [40, 30, 12]  # its end, its branch point, and what was asked for


# ---------------------------------------------------------------------- resuming


@pytest.mark.parametrize("chunks", [1, 2, 4])
def test_an_interrupted_run_goes_on_to_the_same_bits(
    make_run, train_run, elsewhere, curve_of, chunks
):
    folder = make_run()
    assert train_run(folder, should_stop=stop_after(chunks)) == "interrupted"
    assert folder.state() == "interrupted" and folder.done() is None
    assert train_run(folder) == "done"
    assert folder.record().started_at_step > 0 and folder.record().attempt == 2
    assert curve_of(folder) == curve_of(elsewhere())
    assert science_of(folder) == science_of(elsewhere())


@pytest.mark.long
def test_a_run_interrupted_after_every_chunk_ends_all_the_same(
    make_run, train_run, elsewhere, curve_of
):
    folder = make_run()
    outcomes = []
    while folder.done() is None:
        outcomes.append(train_run(folder, should_stop=lambda: True))
    assert outcomes == ["interrupted"] * (len(outcomes) - 1) + ["done"] and len(outcomes) > 5
    assert curve_of(folder) == curve_of(elsewhere())


def test_a_finished_run_whose_done_was_not_written_is_not_trained_again(
    make_run, train_run, curve_of, elsewhere
):
    """Killed between its last checkpoint and DONE."""
    folder = make_run()
    train_run(folder)
    folder.done_file.unlink()
    assert train_run(folder) == "done"
    assert folder.record().throughput.steps == 0
    assert curve_of(folder) == curve_of(elsewhere())
    assert science_of(folder) == science_of(elsewhere())


def test_an_unreadable_checkpoint_costs_time_but_no_bit(
    make_run, train_run, elsewhere, curve_of, outputs, tiny_run, caplog
):
    folder = make_run()
    train_run(folder, pins=[5], should_stop=stop_at(folder, 31))
    found = dict(stored_checkpoints(outputs, tiny_run().science))
    for step in list(found)[:-1]:
        found[step].write_bytes(found[step].read_bytes()[:1000])
    with caplog.at_level(logging.WARNING):
        assert train_run(folder) == "done"
    assert "unreadable" in caplog.text
    assert folder.record().started_at_step == 5
    assert curve_of(folder) == curve_of(elsewhere())


def test_a_checkpoint_is_saved_as_often_as_asked(make_run, train_run, outputs, tiny_run):
    """Without it a kill would lose everything since the last branch point."""
    seen = set()

    def look():
        found = stored_checkpoints(outputs, tiny_run().science)
        own = {step for step, path in found if len(path.suffixes) == 2}
        assert len(own) <= 1  # the latest replaces the one before
        seen.update(own)
        return False

    folder = make_run({"execution.checkpoint_seconds": 1e-6})
    assert train_run(folder, should_stop=look) == "done"
    assert len(seen) >= 5
    assert all(len(p.suffixes) == 1 for _, p in stored_checkpoints(outputs, tiny_run().science))


# ---------------------------------------------------------------------- sharing a prefix


@pytest.mark.parametrize("first", ["short", "long"])
def test_a_branch_from_a_siblings_trunk_is_the_run_trained_alone(
    make_run, train_run, elsewhere, curve_of, first
):
    changes = {"short": {"tokens": 64 * 40}, "long": {"tokens": 64 * 80}}
    second = "long" if first == "short" else "short"
    pins = [30]  # the planner asks the longer one to keep the shorter one's branch point
    assert train_run(make_run(changes[first]), pins=pins) == "done"
    folder = make_run(changes[second])
    assert train_run(folder) == "done"
    assert folder.record().started_at_step == 30
    assert curve_of(folder) == curve_of(elsewhere(changes[second]))
    assert science_of(folder) == science_of(elsewhere(changes[second]))


def test_extending_trains_only_the_new_stretch(make_run, train_run, elsewhere, curve_of):
    """A constant run made longer goes on from its end."""
    constant = {"schedule.kind": "constant"}
    train_run(make_run(constant | {"tokens": 64 * 40}))
    longer = make_run(constant | {"tokens": 64 * 70})
    train_run(longer)
    record = longer.record()
    assert record.started_at_step == 40 and record.throughput.steps == 30
    alone = elsewhere(constant | {"tokens": 64 * 70})
    assert curve_of(longer) == curve_of(alone) and science_of(longer) == science_of(alone)


def test_a_constant_run_is_the_trunk_of_wsd_runs(make_run, train_run, elsewhere, curve_of):
    train_run(make_run({"schedule.kind": "constant", "tokens": 64 * 30}))
    branch = make_run()
    train_run(branch)
    assert branch.record().started_at_step == 30
    assert curve_of(branch) == curve_of(elsewhere())


def test_a_run_that_ends_inside_a_siblings_trunk_is_only_measured(
    make_run, train_run, elsewhere, curve_of
):
    """The sibling did not measure validation there, so its checkpoint lacks the final loss."""
    constant = {"schedule.kind": "constant"}
    train_run(make_run(constant | {"tokens": 64 * 60}), pins=[40])
    inside = make_run(constant | {"tokens": 64 * 40})
    train_run(inside)
    assert inside.record().throughput.steps == 0
    alone = elsewhere(constant | {"tokens": 64 * 40})
    assert curve_of(inside) == curve_of(alone) and science_of(inside) == science_of(alone)


# ---------------------------------------------------------------------- packs


def test_members_of_a_pack_are_runs_of_their_own(make_run, train_run, elsewhere):
    """Own folder, record and curve, which agree with solo runs to rounding."""
    changes = [{"seed": 0}, {"seed": 1}, {"optimizer.lr": 0.003}]
    folders = [make_run(change) for change in changes]
    assert train_run(*folders) == "done"
    for folder, change in zip(folders, changes, strict=True):
        alone = elsewhere(change)
        assert folder.record().throughput.members == 3
        assert folder.record().spec.science == alone.record().spec.science
        columns = ["loss", "grad_norm", "validation_loss"]
        packed, solo = (pd.read_csv(f.curve_file())[columns] for f in (folder, alone))
        pd.testing.assert_frame_equal(packed, solo, rtol=1e-4)


def test_a_run_begun_in_a_pack_goes_on_alone(make_run, train_run, elsewhere):
    folders = [make_run({"seed": seed}) for seed in (0, 1)]
    assert train_run(*folders, should_stop=stop_after(3)) == "interrupted"
    for seed, folder in enumerate(folders):
        assert train_run(folder) == "done"
        assert folder.record().started_at_step > 0
        final, alone = folder.record().final, elsewhere({"seed": seed}).record().final
        assert final.validation_loss == pytest.approx(alone.validation_loss, rel=1e-4)


def test_a_member_that_diverges_does_not_take_the_others_along(make_run, train_run, elsewhere):
    bad, good = make_run({"optimizer.lr": 1e13}), make_run()
    assert train_run(bad, good) == "done"
    assert (bad.state(), good.state()) == ("diverged", "done")
    assert good.record().final.validation_loss == pytest.approx(
        elsewhere().record().final.validation_loss, rel=1e-4
    )


# ---------------------------------------------------------------------- other ends


def test_divergence_is_a_result(make_run, train_run):
    folder = make_run({"optimizer.lr": 1e13})
    assert train_run(folder) == "done"
    assert folder.state() == "diverged"
    record, frame = folder.record(), pd.read_csv(folder.curve_file())
    assert record.status == "diverged" and 1 <= record.steps < 40
    assert len(frame) == record.steps == folder.done().steps
    assert frame["loss"].notna().all()  # the finite part
    assert record.final.validation_loss is None
    assert Claim.acquire(folder, 60) is None  # never trained again


def test_divergence_in_the_last_update_is_a_result_too(make_run, train_run):
    """No training loss shows it, but the validation loss after it is not a number."""
    last = {
        "optimizer.lr": 1e13,
        "tokens": 64,
        "schedule.kind": "constant",
        "schedule.warmup_tokens": 0,
    }
    folder = make_run(last)
    assert train_run(folder) == "done"
    assert folder.state() == "diverged"
    assert folder.record().final.validation_loss is None
    frame = pd.read_csv(folder.curve_file())
    assert frame["loss"].notna().all() and frame["validation_loss"].isna().all()


def test_divergence_that_a_sibling_did_not_see_is_a_result_too(make_run, train_run, elsewhere):
    """Its checkpoint after one update holds broken weights, which only validation would show."""
    bad = {"optimizer.lr": 1e13, "schedule.kind": "constant", "schedule.warmup_tokens": 0}
    train_run(make_run(bad), pins=[1])
    folder = make_run(bad | {"tokens": 64})
    assert train_run(folder) == "done"
    assert folder.record().started_at_step == 1
    assert folder.state() == "diverged"
    assert science_of(folder) == science_of(elsewhere(bad | {"tokens": 64}))


@pytest.mark.parametrize("chunk_seconds", [1e-9, 100.0])
def test_where_a_run_diverged_does_not_depend_on_chunks(
    make_run, train_run, elsewhere, curve_of, monkeypatch, chunk_seconds
):
    monkeypatch.setattr("scalinglab.scaling.engine.trainer.loop.CHUNK_SECONDS", chunk_seconds)
    folder = make_run({"optimizer.lr": 30.0})
    train_run(folder)
    assert curve_of(folder) == curve_of(elsewhere({"optimizer.lr": 30.0}))


def test_a_run_whose_end_cannot_be_written_is_released(make_run, train_run, monkeypatch):
    """Else the worker, which lives on, would hold it for ever."""

    def full(path):
        raise OSError("no space left on device")

    folder = make_run()
    with monkeypatch.context() as disk:
        disk.setattr("scalinglab.scaling.records.claim.file_hash", full)
        assert train_run(folder) == "failed"
    assert folder.state() == "failed"
    assert train_run(folder) == "done"


def test_a_run_that_breaks_off_within_a_chunk_says_at_which_step(make_run, train_run, monkeypatch):
    monkeypatch.setattr("scalinglab.scaling.engine.trainer.loop.CHUNK_SECONDS", 100.0)
    update = EagerEngine._update

    def failing(engine, lr, count):
        if count == 20:
            raise ValueError("step 20 is too much")
        return update(engine, lr, count)

    folder = make_run()
    monkeypatch.setattr(EagerEngine, "_update", failing)
    assert train_run(folder) == "failed"
    assert folder.progress(1).step == 20


def test_an_unreadable_branch_point_is_replaced(make_run, train_run, outputs, tiny_run):
    """Else every sibling would train the trunk again, for ever."""
    train_run(make_run({"schedule.kind": "constant", "tokens": 64 * 30}))
    ((_, path),) = stored_checkpoints(outputs, tiny_run().science)
    path.write_bytes(path.read_bytes()[:1000])
    train_run(make_run())
    assert load_checkpoint(path).step == 30


def test_a_run_whose_data_have_changed_since_its_plan_fails_and_says_so(
    make_run, train_run, outputs
):
    folder = make_run()
    (manifest,) = outputs.glob("data/*/manifest.json")
    before = TokenStore(manifest.parent)
    tokens = before.train[::-1].copy()
    shutil.rmtree(manifest.parent)
    write_store(
        manifest.parent,
        before.manifest.source,
        before.manifest.options,
        Corpus(tokens, before.validation, 8, 1.0),
    )
    assert train_run(folder) == "failed"
    assert folder.state() == "failed"
    assert "the source has changed; plan again" in folder.latest_attempt().end.error


def test_a_run_that_was_taken_over_is_given_up(make_run, train_run):
    """The successor's claim appears while we train; nothing of ours is recorded."""
    folder = make_run()

    def taken_over():
        folder.attempt_file(2, "json").write_text(folder.attempt_file(1, "json").read_text())
        return False

    assert train_run(folder, should_stop=taken_over) == "lost"
    assert folder.done() is None
    assert json.loads(folder.attempt_file(1, "end").read_text())["reason"] == "lost"


def test_progress_tells_step_loss_and_speed(make_run, train_run):
    folder = make_run()
    train_run(folder, should_stop=stop_after(3))
    progress = folder.progress(1)
    assert 0 < progress.step < progress.steps == 40
    assert progress.loss > 0 and progress.tokens_per_second > 0


def test_chunks_end_at_every_event_and_hold_at_most_about_a_second(make_run):
    folder = make_run()
    claim = Claim.acquire(folder, 60)
    training = Training([claim], {folder.run_id: [7]}, ExecutionConfig())
    ends = []
    while not training.over:
        chunk = training.next_chunk()
        result = training.engine.train(chunk.tokens, chunk.lr, torch.Tensor.backward)
        training.absorb(result, seconds=0.25 * len(chunk.lr))  # so that 4 steps take a second
        ends.append(training.step)
    assert training.close() == "done"
    assert {7, 30, 31, 32, 33, 35, 36, 37, 38, 40} <= set(ends)
    assert max(b - a for a, b in itertools.pairwise([0, *ends])) == 4
    assert ends[0] == 1  # nothing is known of its speed yet
