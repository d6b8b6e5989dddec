"""Compiled steps are eager steps to rounding, and eager steps where nothing can be compiled."""

from __future__ import annotations

import logging

import numpy as np
import pytest
import torch

from scaling.engine.compiled import CompiledEngine, Fused
from scaling.engine.eager import EagerEngine, Member
from scaling.model.architecture import Architecture, Shape
from scaling.optimizer_settings import AdamWSettings

SMALL = Architecture(Shape(depth=2, width=16, heads=2, mlp_width=64, context=16, vocab=11))
ADAMW = AdamWSettings(beta1=0.9, beta2=0.95, epsilon=1e-8, weight_decay=0.1, clip=1.0)
STEPS = 8


def trained(kind, k):
    engine = kind(SMALL, [Member(seed, ADAMW) for seed in range(k)])
    tokens = np.random.default_rng(0).integers(11, size=(STEPS, k, 4, 17))
    lr = np.random.default_rng(1).random((STEPS, k)) * 0.02
    result = engine.train(tokens, lr, torch.Tensor.backward)
    return engine, result, engine.evaluate(tokens[0, 0])


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # of what the compiler imports
@pytest.mark.parametrize("k", [1, 3])
def test_compiled_steps_are_eager_steps_to_rounding(k):
    _, expected, validation = trained(EagerEngine, k)
    _, found, compiled_validation = trained(CompiledEngine, k)
    np.testing.assert_allclose(found.loss, expected.loss, rtol=1e-5)
    np.testing.assert_allclose(found.grad_norm, expected.grad_norm, rtol=1e-4)
    np.testing.assert_allclose(compiled_validation, validation, rtol=1e-5)


def test_without_a_compiler_steps_are_eager_and_one_line_says_so(monkeypatch, caplog):
    monkeypatch.setattr("shutil.which", lambda name: None)
    with caplog.at_level(logging.WARNING):
        _, found, _ = trained(CompiledEngine, 1)
    assert [r.getMessage() for r in caplog.records] == [
        "torch.compile is not used, kernels are those of execution.engine = 'eager': there is no "
        "C++ compiler"
    ]
    np.testing.assert_array_equal(found.loss, trained(EagerEngine, 1)[1].loss)


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_a_compiler_that_fails_is_given_up_once(monkeypatch, caplog):
    from torch._dynamo.exc import Unsupported

    calls = []

    def broken(function, dynamic, fullgraph):
        def compiled(tokens):
            calls.append(1)
            raise Unsupported("no such operation\nand more")

        return compiled

    monkeypatch.setattr(torch, "compile", broken)
    with caplog.at_level(logging.WARNING):
        _, found, _ = trained(CompiledEngine, 3)
    assert len(calls) == 1 and "Unsupported: no such operation" in caplog.text
    np.testing.assert_array_equal(found.loss, trained(EagerEngine, 3)[1].loss)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_a_compiled_update_is_the_eager_one_to_rounding(monkeypatch):
    """As on a GPU; the number of the step is not compiled into it."""
    _, expected, _ = trained(EagerEngine, 3)
    monkeypatch.setattr("scaling.engine.compiled.FUSED_UPDATES", ("cpu",))
    engine, found, _ = trained(CompiledEngine, 3)
    assert isinstance(engine._step, Fused)
    np.testing.assert_allclose(found.loss, expected.loss, rtol=1e-5)
