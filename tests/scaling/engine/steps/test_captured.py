"""Replayed steps are eager steps; those marked ``gpu`` need a CUDA device."""

from __future__ import annotations

import logging
import re
import types

import numpy as np
import pytest
import torch

from scalinglab.scaling.engine.optimizers.optimizer import UPDATES
from scalinglab.scaling.engine.steps.captured import (
    FLOORS,
    CapturedCompiledEngine,
    CapturedEngine,
    difference,
    limits,
)
from scalinglab.scaling.engine.steps.eager import EagerEngine
from scalinglab.scaling.engine.steps.engine import Member, Ran
from scalinglab.scaling.model.architecture import Architecture
from scalinglab.scaling.model.shape import Shape
from scalinglab.scaling.optimizers.adamw import AdamWConfig
from scalinglab.scaling.optimizers.lion import LionConfig
from scalinglab.scaling.optimizers.muon import MuonConfig
from scalinglab.scaling.optimizers.optimizer import OPTIMIZERS
from scalinglab.scaling.optimizers.soap import SOAPConfig
from scalinglab.scaling.run.step_options import StepOptions

SMALL = Architecture(Shape(depth=2, width=32, heads=2, mlp_width=128, context=32, vocab=64))
COMMON = {"weight_decay": 0.1, "clip": 1.0}
ADAM = {"beta1": 0.9, "beta2": 0.95, "epsilon": 1e-8} | COMMON
STEPS = 50
TOKENS = np.random.default_rng(0).integers(64, size=(STEPS, 3, 8, 33))
LR = np.random.default_rng(1).random((STEPS, 3)) * 0.01


def trained(kind, k=1, settings=AdamWConfig(**ADAM), device="cuda", cuts=(), last=STEPS, **named):
    engine = kind(SMALL, [Member(seed, settings) for seed in range(k)], device, **named)
    parts = np.split(np.arange(last), cuts)
    results = [engine.train(TOKENS[s, :k], LR[s, :k], torch.Tensor.backward) for s in parts]
    return engine, np.concatenate([r.loss for r in results])


@pytest.mark.gpu
@pytest.mark.parametrize("k", [1, 3])
def test_fifty_replayed_steps_are_fifty_eager_steps(k):
    _, expected = trained(EagerEngine, k)
    engine, found = trained(CapturedEngine, k, cuts=(1, 7, 30))
    assert engine._graph is not None
    np.testing.assert_allclose(found, expected, rtol=1e-5)


@pytest.mark.gpu
@pytest.mark.parametrize(
    "settings",
    [LionConfig(beta1=0.9, beta2=0.99, **COMMON), MuonConfig(**ADAM)],
    ids=["lion", "muon"],
)
def test_other_optimizers_are_captured_too(settings):
    _, expected = trained(EagerEngine, 3, settings)
    _, found = trained(CapturedEngine, 3, settings)
    np.testing.assert_allclose(found, expected, rtol=1e-3)


@pytest.mark.gpu
@pytest.mark.parametrize("micro_batch", [3, 8])
def test_options_are_captured_too(micro_batch):
    options = StepOptions(precision="bf16", z_loss=1e-4)
    _, expected = trained(EagerEngine, 1, micro_batch=micro_batch, options=options)
    _, found = trained(CapturedEngine, 1, micro_batch=micro_batch, options=options)
    np.testing.assert_allclose(found, expected, rtol=1e-2)


@pytest.mark.gpu
def test_a_captured_training_goes_on_from_a_state_to_the_bit():
    whole, expected = trained(CapturedEngine, 1)
    first = CapturedEngine(SMALL, [Member(0, AdamWConfig(**ADAM))], "cuda")
    first.train(TOKENS[:20, :1], LR[:20, :1], torch.Tensor.backward)
    second = CapturedEngine(SMALL, [Member(9, AdamWConfig(**ADAM))], "cuda")
    second.train(TOKENS[:1, :1], LR[:1, :1], torch.Tensor.backward)  # its graph is there already
    second.load(0, first.state(0), 20)
    found = second.train(TOKENS[20:, :1], LR[20:, :1], torch.Tensor.backward)
    assert np.array_equal(found.loss, expected[20:])


@pytest.mark.gpu
def test_an_optimizer_whose_steps_differ_is_eager_on_a_device_too(caplog):
    settings = SOAPConfig(**ADAM)
    with caplog.at_level(logging.WARNING):
        engine, found = trained(CapturedEngine, 1, settings)
    assert engine._graph is None and "SOAP" in caplog.text
    np.testing.assert_array_equal(found, trained(EagerEngine, 1, settings)[1])


# ---------------------------------------------------------------------- on any machine


@pytest.mark.parametrize("name", [n for n, kind in UPDATES.items() if kind.capturable])
def test_a_replay_finds_all_that_changes_in_buffers(taped, name):
    """Tokens, LR and number of a step; what a capture does to weights and moments is undone."""
    settings = OPTIMIZERS[name](
        **{
            key: value
            for key, value in ADAM.items()
            if key in OPTIMIZERS[name].__dataclass_fields__
        }
    )
    whole, expected = trained(EagerEngine, 3, settings, "cpu", last=9)
    engine, found = trained(CapturedEngine, 3, settings, "cpu", cuts=(1, 4), last=9)
    assert engine._graph is taped.made[0] and len(taped.made) == 1 and engine.steps_done == 9
    assert engine.ran == Ran("captured") and whole.ran == Ran("eager")
    np.testing.assert_allclose(found, expected, rtol=1e-4)
    for key, value in whole.state(1).items():
        torch.testing.assert_close(engine.state(1)[key], value, rtol=1e-3, atol=1e-4, msg=key)


def test_a_capture_that_fails_is_tried_once_and_costs_no_bit(taped, monkeypatch, caplog):
    def fails(*_, **__):
        raise RuntimeError("CUDA error: operation not permitted when stream is capturing\nand more")

    streams, before = [], torch.cuda.current_stream()
    monkeypatch.setattr(torch.cuda, "set_stream", streams.append)
    monkeypatch.setattr(torch.cuda, "graph", fails)
    with caplog.at_level(logging.WARNING):
        _, found = trained(CapturedEngine, 3, device="cpu", cuts=(4,), last=9)
    assert streams == [before]  # torch leaves the thread on that of the capture
    assert [r.getMessage() for r in caplog.records] == [
        "steps of the captured engine are not replayed: RuntimeError: CUDA error: "
        "operation not permitted when stream is capturing"
    ]
    np.testing.assert_array_equal(found, trained(EagerEngine, 3, device="cpu", last=9)[1])


@pytest.mark.parametrize(
    ("k", "named"),
    [
        (3, {"micro_batch": 3}),
        (3, {"options": StepOptions(precision="bf16", z_loss=1e-4)}),
        (1, {"options": StepOptions(recompute=True, loss_chunk=40, z_loss=1e-4)}),
    ],
    ids=["micro-batches", "bf16", "memory"],
)
def test_a_graph_holds_what_a_step_can_be_asked_for(taped, k, named):
    _, expected = trained(EagerEngine, k, device="cpu", last=4, **named)
    engine, found = trained(CapturedEngine, k, device="cpu", last=4, **named)
    assert engine._graph is not None
    np.testing.assert_allclose(found, expected, rtol=1e-4)


@pytest.mark.parametrize(
    ("lost", "precision"),
    [
        ("zero_", "fp32"),
        ("lerp_", "fp32"),
        ("addcmul_", "fp32"),
        ("zero_", "bf16"),
        ("lerp_", "bf16"),
    ],
)
def test_a_replay_that_is_another_step_is_not_trusted(taped, monkeypatch, caplog, lost, precision):
    """Graphs that lack a kernel: of the gradient's clearing, the first moment, the weights."""
    named = {"device": "cpu", "last": 9, "options": StepOptions(precision)}
    right = taped.replay

    def wrong(tape):
        last = max(i for i, k in enumerate(tape.kernels) if k[0].overloadpacket.__name__ == lost)
        right(types.SimpleNamespace(kernels=tape.kernels[:last] + tape.kernels[last + 1 :]))

    monkeypatch.setattr(taped, "replay", wrong)
    with caplog.at_level(logging.WARNING):
        engine, found = trained(CapturedEngine, 3, cuts=(4,), **named)
    assert len(taped.made) == 1 and engine._graph is None
    said = "the (loss|gradient norm) of 3 replayed steps is"
    assert re.search(f"not replayed: {said}", caplog.text)
    assert engine.ran.engine == "eager" and re.match(said, engine.ran.why)
    np.testing.assert_array_equal(found, trained(EagerEngine, 3, **named)[1])


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_another_order_of_sums_is_no_other_step(precision):
    """The floors leave room for what micro-batches make of the same steps."""
    options, lr = StepOptions(precision), np.full((3, 1), 1e-3)
    whole, parts = (
        EagerEngine(
            SMALL, [Member(0, AdamWConfig(**ADAM))], micro_batch=size, options=options
        ).train(TOKENS[:3, :1], lr, torch.Tensor.backward)
        for size in (8, 2)
    )
    for one, other, floor in zip(
        (whole.loss, whole.grad_norm), (parts.loss, parts.grad_norm), FLOORS[precision], strict=True
    ):
        assert 5 * np.max(np.abs(one / other - 1)) < floor


def test_kernels_that_add_up_in_no_order_widen_what_is_allowed():
    """By the spread of the steps themselves; what is not finite widens nothing."""
    one = torch.tensor([[[4.0, 2.0], [1.0, 3.0]]])  # (steps, 2, k)
    assert limits(one, one, (1e-4, 1e-2)) == [1e-4, 1e-2]
    other = one * torch.tensor([[1.0, 1.001]])
    assert limits(one, other, (1e-4, 1e-2)) == pytest.approx([4e-3, 1e-2], rel=1e-3)
    broken = torch.full_like(one, torch.nan)
    assert limits(broken, broken, (1e-4, 1e-2)) == [1e-4, 1e-2]
    assert difference(broken, broken, (1e-4, 1e-2)) is None
    assert difference(other, one, (4e-3, 1e-2)) is None
    assert "the loss of 3 replayed steps is [" in difference(other, one, (1e-4, 1e-2))


def test_a_lack_of_memory_is_no_reason_to_step_eagerly(taped, monkeypatch):
    def fails(*_, **__):
        raise torch.OutOfMemoryError("CUDA out of memory")

    monkeypatch.setattr(torch.cuda, "graph", fails)
    with pytest.raises(torch.OutOfMemoryError):
        trained(CapturedEngine, device="cpu")


def test_without_a_device_no_step_is_replayed_and_one_line_says_so(uncompiled, caplog):
    with caplog.at_level(logging.WARNING):
        _, found = trained(CapturedEngine, 3, device="cpu")
    assert [r.getMessage() for r in caplog.records] == [
        "steps of the captured engine are not replayed: there are graphs on CUDA devices only"
    ]
    np.testing.assert_array_equal(found, trained(EagerEngine, 3, device="cpu")[1])


def test_a_step_is_compiled_before_it_is_captured(taped, monkeypatch):
    """Both passes and, where that is worth it, the update; the graph is of what came of it."""
    compiled = []

    def noted(function, **named):
        compiled.append((function.__name__, named))
        return function

    monkeypatch.setattr(torch, "compile", noted)
    monkeypatch.setattr("scalinglab.scaling.engine.steps.compiled.FUSED_UPDATES", ("cpu",))
    engine, found = trained(CapturedCompiledEngine, 3, device="cpu", last=4)
    assert compiled == [
        ("_losses", {"dynamic": False, "fullgraph": False}),
        ("step", {"dynamic": False, "fullgraph": True}),
    ]
    assert engine._graph is not None
    np.testing.assert_allclose(found, trained(EagerEngine, 3, device="cpu", last=4)[1], rtol=1e-5)


@pytest.mark.gpu
@pytest.mark.parametrize("k", [1, 3])
def test_compiled_and_replayed_steps_are_eager_steps(k):
    _, expected = trained(EagerEngine, k)
    engine, found = trained(CapturedCompiledEngine, k)
    assert engine._graph is not None
    np.testing.assert_allclose(found, expected, rtol=1e-5)
