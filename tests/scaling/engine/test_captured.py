"""Replayed steps are eager steps; those marked ``gpu`` need a CUDA device."""

from __future__ import annotations

import logging

import numpy as np
import pytest
import torch

from scaling.engine.captured import CapturedEngine
from scaling.engine.eager import EagerEngine, Member
from scaling.engine.step_options import StepOptions
from scaling.model.architecture import Architecture, Shape
from scaling.optimizer_settings import AdamWSettings, LionSettings, MuonSettings, SOAPSettings

SMALL = Architecture(Shape(depth=2, width=32, heads=2, mlp_width=128, context=32, vocab=64))
COMMON = {"weight_decay": 0.1, "clip": 1.0}
ADAM = {"beta1": 0.9, "beta2": 0.95, "epsilon": 1e-8} | COMMON
STEPS = 50
TOKENS = np.random.default_rng(0).integers(64, size=(STEPS, 3, 8, 33))
LR = np.random.default_rng(1).random((STEPS, 3)) * 0.01


def trained(kind, k=1, settings=AdamWSettings(**ADAM), device="cuda", cuts=(STEPS,), **named):
    engine = kind(SMALL, [Member(seed, settings) for seed in range(k)], device, **named)
    parts = np.split(np.arange(STEPS), cuts)
    results = [engine.train(TOKENS[s, :k], LR[s, :k], torch.Tensor.backward)
               for s in parts if len(s)]
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
    "settings", [LionSettings(beta1=0.9, beta2=0.99, **COMMON), MuonSettings(**ADAM)],
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
    first = CapturedEngine(SMALL, [Member(0, AdamWSettings(**ADAM))], "cuda")
    first.train(TOKENS[:20, :1], LR[:20, :1], torch.Tensor.backward)
    second = CapturedEngine(SMALL, [Member(9, AdamWSettings(**ADAM))], "cuda")
    second.train(TOKENS[:1, :1], LR[:1, :1], torch.Tensor.backward)  # its graph is there already
    second.load(0, first.state(0), 20)
    found = second.train(TOKENS[20:, :1], LR[20:, :1], torch.Tensor.backward)
    assert np.array_equal(found.loss, expected[20:])


@pytest.mark.gpu
def test_an_optimizer_whose_steps_differ_is_eager_on_a_device_too(caplog):
    settings = SOAPSettings(**ADAM)
    with caplog.at_level(logging.WARNING):
        engine, found = trained(CapturedEngine, 1, settings)
    assert engine._graph is None and "SOAP" in caplog.text
    np.testing.assert_array_equal(found, trained(EagerEngine, 1, settings)[1])


def test_without_a_device_steps_are_eager_and_one_line_says_so(caplog):
    with caplog.at_level(logging.WARNING):
        _, found = trained(CapturedEngine, 3, device="cpu")
    assert [r.getMessage() for r in caplog.records] == [
        "execution.engine = 'captured' steps eagerly: there are graphs on CUDA devices only"
    ]
    np.testing.assert_array_equal(found, trained(EagerEngine, 3, device="cpu")[1])
