"""Under Lightning a run is bit for bit a bare loop over the engine, also when it is killed."""

import contextlib
import random
import threading
import time

import numpy as np
import pandas as pd
import pytest
import torch

from scalinglab.scaling.config import ExecutionConfig
from scalinglab.scaling.data import feed
from scalinglab.scaling.data import store as stores
from scalinglab.scaling.data.order import DataOrder
from scalinglab.scaling.data.store import window_count
from scalinglab.scaling.engine.steps.eager import EagerEngine
from scalinglab.scaling.engine.steps.engine import Member
from scalinglab.scaling.engine.trainer import loop
from scalinglab.scaling.engine.trainer.loop import Training
from scalinglab.scaling.engine.trainer.trainer import train
from scalinglab.scaling.optimizers.adamw import AdamWConfig
from scalinglab.scaling.records.claim import Claim
from scalinglab.scaling.records.curve import Curve, curve_text
from scalinglab.scaling.schedule.pieces import lr_array
from scalinglab.scaling.training.events import validation_steps

# Claims a run and trains it as a worker does, in short chunks, saving after each.
WORKER = """
import scalinglab.scaling.engine.trainer.loop
from scalinglab.scaling.records.claim import Claim
from scalinglab.scaling.config import ExecutionConfig
from scalinglab.scaling.engine.trainer.trainer import train
scalinglab.scaling.engine.trainer.loop.CHUNK_SECONDS = 0.02
claim = Claim.acquire(folder, 60)
train([claim], {}, ExecutionConfig(checkpoint_seconds=1e-6))
"""


def bare_curve(run, store):
    """The curve of a run from engine, order, schedule and events alone."""
    optimizer = {k: v for k, v in run.science["optimizer"].items() if k != "name"}
    member = Member(run.science["seed"], AdamWConfig(**optimizer))
    engine = EagerEngine(run.architecture, [member])
    lr, batch, context = lr_array(run.pieces), run.config.batch, run.shape.context
    windows = window_count(store.manifest.train_tokens, context)
    order = DataOrder(windows, run.science["data"]["seed"], run.unique_tokens // context)
    held_out = store.validation_batch(run.config.data.validation_tokens, context)
    loss, norm, validation = [], [], {}
    for step in range(run.steps):
        tokens = store.training_batches([order], step, 1, batch, context).astype(np.int64)
        result = engine.train(tokens, lr[step : step + 1, None], torch.Tensor.backward)
        loss.append(result.loss[0, 0])
        norm.append(result.grad_norm[0, 0])
        if step + 1 in validation_steps(run.pieces):
            validation[step + 1] = float(engine.evaluate(held_out)[0])
    curve = Curve(np.array(loss), np.array(norm), validation)
    return curve_text(curve, lr, run.tokens_per_step, store.manifest.bytes_per_token)


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"schedule.kind": "cosine", "seed": 3, "data.seed": 5, "model.depth": 2},
        {"schedule.kind": "constant", "schedule.warmup_tokens": 0, "batch": 3},
        {"data.unique_tokens": 640, "data.max_epochs": 4.0},  # four epochs of 40 windows
    ],
    ids=str,
)
def test_lightning_changes_no_bit(make_run, tiny_run, tiny_store, train_run, curve_of, changes):
    folder = make_run(changes)
    assert train_run(folder) == "done"
    assert curve_of(folder) == bare_curve(tiny_run(changes), tiny_store)


@pytest.mark.parametrize("chunk_seconds", [1e-9, 0.005, 100.0])
def test_the_length_of_chunks_changes_no_bit(
    make_run, tiny_run, tiny_store, train_run, curve_of, monkeypatch, chunk_seconds
):
    monkeypatch.setattr("scalinglab.scaling.engine.trainer.loop.CHUNK_SECONDS", chunk_seconds)
    folder = make_run()
    train_run(folder)
    assert curve_of(folder) == bare_curve(tiny_run(), tiny_store)


def test_an_error_in_a_step_is_recorded_with_its_traceback_and_the_run_released(
    make_run, train_run
):
    def broken():
        raise RuntimeError("a cable was pulled")

    folder = make_run()
    assert train_run(folder, should_stop=broken) == "failed"
    end = folder.latest_attempt().end
    assert end.reason == "failed" and end.error == "RuntimeError: a cable was pulled"
    assert "in broken" in end.traceback
    assert folder.state() == "failed"
    assert train_run(folder) == "done"  # and it can be tried again


def test_ctrl_c_releases_the_run_and_goes_on_upwards(make_run):
    def interrupt():
        raise KeyboardInterrupt

    folder = make_run()
    claim = Claim.acquire(folder, 60)
    with pytest.raises(BaseException) as caught:
        train([claim], {}, ExecutionConfig(), interrupt)
    assert isinstance(caught.value, KeyboardInterrupt | SystemExit)
    assert folder.state() in ("failed", "interrupted")


# ---------------------------------------------------------------------- data fetched ahead


def feeding():
    """The threads that fetch tokens."""
    return {t for t in threading.enumerate() if t.name.startswith(feed.NAME)}


@pytest.mark.parametrize("ending", ["done", "stopped", "failed", "ctrl-c"])
def test_the_thread_that_fetches_tokens_ends_with_its_training(make_run, train_run, ending):
    seen = set()

    def after_a_chunk():
        seen.update(feeding())
        if ending == "failed":
            raise RuntimeError("a cable was pulled")
        if ending == "ctrl-c":
            raise KeyboardInterrupt
        return ending == "stopped"

    for folder in (make_run(), make_run({"seed": 1})):  # of two in one process neither stays
        with contextlib.suppress(KeyboardInterrupt):
            train_run(folder, should_stop=after_a_chunk)
        assert not feeding()
    assert len(seen) == 2


def test_an_error_of_that_thread_fails_the_run_and_says_where(make_run, train_run, monkeypatch):
    gathered = stores.gather

    def unreadable(*arguments):
        if threading.current_thread() in feeding():
            raise OSError("the disk is gone")
        return gathered(*arguments)

    monkeypatch.setattr(stores, "gather", unreadable)
    folder = make_run()
    assert train_run(folder) == "failed"
    end = folder.latest_attempt().end
    assert end.error == "OSError: the disk is gone" and "in unreadable" in end.traceback


def test_chunks_are_fetched_while_those_before_them_are_trained(make_run, train_run, monkeypatch):
    """And each step's tokens once, but for what a wrong guess of a chunk's length costs."""
    gathered, ahead, steps = stores.gather, [], []

    def noted(tokens, windows, context):
        ahead.append(len(windows) if threading.current_thread() in feeding() else 0)
        steps.append(len(windows) if windows.ndim == 3 else 0)  # no validation windows
        return gathered(tokens, windows, context)

    monkeypatch.setattr(stores, "gather", noted)
    monkeypatch.setattr(loop, "CHUNK_SECONDS", 0.02)
    absorb = Training.absorb  # seven steps fit in a chunk
    monkeypatch.setattr(
        Training,
        "absorb",
        lambda self, result, _: absorb(self, result, len(result.loss) * 0.02 / 7.5),
    )
    train_run(make_run({"tokens": 64 * 300}))
    assert sum(ahead) > 0.9 * 300
    assert sum(steps) < 1.2 * 300


@pytest.mark.parametrize("most", [1, 5])
def test_chunks_hold_a_bounded_number_of_bytes(
    make_run, tiny_run, tiny_store, train_run, curve_of, monkeypatch, most
):
    a_step = 4 * 17  # bytes
    monkeypatch.setattr(loop, "CHUNK_BYTES", most * a_step + 1)
    trained, lengths = EagerEngine.train, []

    def noted(self, tokens, *others):
        lengths.append(tokens.nbytes)
        return trained(self, tokens, *others)

    with monkeypatch.context() as patch:
        patch.setattr(EagerEngine, "train", noted)
        folder = make_run()
        train_run(folder)
    assert max(lengths) == most * a_step
    assert curve_of(folder) == bare_curve(tiny_run(), tiny_store)


def test_training_outside_of_lightning_leaves_no_trace_of_its_own(make_run, train_run, outputs):
    """No lightning_logs, no checkpoints folder of its own: only what we wrote."""
    train_run(make_run())
    assert sorted(p.name for p in outputs.iterdir()) == ["checkpoints", "data", "runs"]


@pytest.mark.long
def test_a_run_killed_at_random_moments_is_the_undisturbed_run(
    make_run, tiny_run, tiny_store, curve_of, processes
):
    """SIGKILL again and again, then the same command: each step once, and every bit the same."""
    changes = {"tokens": 64 * 600, "data.max_epochs": 2.0, "schedule.cooldown_fraction": 0.5}
    folder, moments, kills = make_run(changes), random.Random(0), 0
    while folder.done() is None:
        worker = processes.Process(target=exec, args=(WORKER, {"folder": folder}))
        worker.start()
        if kills < 6:
            wait_for_progress(folder, kills + 1)
            time.sleep(moments.uniform(0, 0.03))
            worker.kill()
        worker.join()
        kills += folder.done() is None
    assert kills >= 3  # six, unless this machine is very fast
    assert folder.done().attempt == kills + 1 and folder.record().started_at_step > 0
    assert pd.read_csv(folder.curve_file())["step"].tolist() == list(range(1, 601))
    assert curve_of(folder) == bare_curve(tiny_run(changes), tiny_store)


def wait_for_progress(folder, attempt):
    """Until the attempt has trained a chunk."""
    deadline = time.monotonic() + 600
    while folder.progress(attempt).step is None:
        assert time.monotonic() < deadline, folder.progress(attempt)
        time.sleep(0.001)
