"""Compiled steps are eager steps to rounding, and eager steps where nothing can be compiled."""

from __future__ import annotations

import logging

import numpy as np
import pytest
import torch

from scalinglab.scaling.engine.steps.compiled import CompiledEngine, Fused, has_no_code
from scalinglab.scaling.engine.steps.eager import EagerEngine
from scalinglab.scaling.engine.steps.engine import Member
from scalinglab.scaling.model.architecture import Architecture
from scalinglab.scaling.model.shape import Shape
from scalinglab.scaling.optimizers.adamw import AdamWConfig

SMALL = Architecture(Shape(depth=2, width=16, heads=2, mlp_width=64, context=16, vocab=11))
ADAMW = AdamWConfig(beta1=0.9, beta2=0.95, epsilon=1e-8, weight_decay=0.1, clip=1.0)
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


class OutOfResources(Exception):
    """As Triton names a kernel that needs more than the device has."""


def no_kernel(error=OutOfResources):
    """An error that has such a one as its cause."""
    try:
        raise error("out of resource: shared memory, Required: 294912, Hardware limit: 232448")
    except error as cause:
        again = RuntimeError("No valid triton configs")
        again.__cause__ = cause
        return again


def failing_once_called(monkeypatch, of: str):
    """torch.compile whose kernels fail: of the forward pass, the backward pass, or the update."""

    class Backward(torch.autograd.Function):
        @staticmethod
        def forward(context, values):
            return values.clone()

        @staticmethod
        def backward(context, gradient):
            raise no_kernel()

    def compiled(function, **_):
        def called(*arguments):
            if function.__name__ == "step":
                result = function(*arguments)  # half of it, or all: weights are written
                if of == "update":
                    raise no_kernel()
                return result
            if of == "forward":
                raise no_kernel()
            losses, penalties = function(*arguments)
            return (Backward.apply(losses), penalties) if of == "backward" else (losses, penalties)

        return called

    monkeypatch.setattr(torch, "compile", compiled)
    monkeypatch.setattr("scalinglab.scaling.engine.steps.compiled.FUSED_UPDATES", ("cpu",))


@pytest.mark.parametrize("of", ["forward", "backward", "update"])
def test_a_kernel_that_does_not_start_is_given_up_and_leaves_no_trace(monkeypatch, caplog, of):
    failing_once_called(monkeypatch, of)
    with caplog.at_level(logging.WARNING):
        engine, found, _ = trained(CompiledEngine, 3)
    assert caplog.text.count("torch.compile is not used") == 1
    why = "RuntimeError: No valid triton configs"
    assert (engine.ran.engine, engine.ran.why) == (
        ("compiled", f"the update is not: {why}") if of == "update" else ("eager", why)
    )
    expected, plain, _ = trained(EagerEngine, 3)
    np.testing.assert_array_equal(found.loss, plain.loss)
    for key, value in expected.state(1).items():
        torch.testing.assert_close(engine.state(1)[key], value, rtol=1e-5, atol=1e-7)


def test_what_is_no_lack_of_code_is_raised(monkeypatch):
    assert has_no_code(no_kernel()) and has_no_code(OutOfResources())
    assert has_no_code(type("NoTritonConfigsError", (RuntimeError,), {})())
    assert not has_no_code(no_kernel(torch.OutOfMemoryError))  # a smaller micro-batch may do
    assert not has_no_code(ValueError("a mistake of ours"))
    monkeypatch.setattr(torch, "compile", lambda function, **_: lambda *a: {}["a defect"])
    with pytest.raises(KeyError):
        trained(CompiledEngine, 1)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_a_compiled_update_is_the_eager_one_to_rounding(monkeypatch):
    """As on a GPU; the number of the step is not compiled into it."""
    _, expected, _ = trained(EagerEngine, 3)
    monkeypatch.setattr("scalinglab.scaling.engine.steps.compiled.FUSED_UPDATES", ("cpu",))
    engine, found, _ = trained(CompiledEngine, 3)
    assert isinstance(engine._step, Fused)
    np.testing.assert_allclose(found.loss, expected.loss, rtol=1e-5)
