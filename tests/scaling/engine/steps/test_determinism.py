"""Equal attempts have equal bits; those marked ``gpu`` need a CUDA device."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from scalinglab.scaling.engine.steps.determinism import determinism
from scalinglab.scaling.engine.steps.eager import EagerEngine
from scalinglab.scaling.engine.steps.engine import Member
from scalinglab.scaling.engine.steps.engines import ENGINES
from scalinglab.scaling.model.architecture import Architecture
from scalinglab.scaling.model.shape import Shape
from scalinglab.scaling.optimizers.adamw import AdamWConfig
from scalinglab.scaling.run.step_options import StepOptions

ADAMW = AdamWConfig(beta1=0.9, beta2=0.95, epsilon=1e-8, weight_decay=0.1, clip=1.0)


def settings() -> tuple[bool, bool]:
    deterministic = torch.are_deterministic_algorithms_enabled()
    return deterministic, torch.utils.deterministic.fill_uninitialized_memory


@pytest.mark.parametrize("before", [False, True])
def test_torch_is_deterministic_within_and_as_before_afterwards(before):
    torch.use_deterministic_algorithms(before)
    try:
        with pytest.raises(KeyError), determinism(True):
            assert settings() == (True, False)
            raise KeyError
        assert settings() == (before, True)
        with determinism(False):
            assert settings() == (before, True)
    finally:
        torch.use_deterministic_algorithms(False)


def test_an_operation_that_cannot_be_is_named():
    with determinism(True), pytest.raises(RuntimeError, match="put_.*deterministic"):
        torch.zeros(4).put_(torch.tensor([0, 0]), torch.tensor([1.0, 2.0]))


def test_a_run_is_trained_within_and_goes_on_to_the_same_bits(
    make_run, train_run, elsewhere, curve_of, monkeypatch
):
    """On a CPU they are the bits of the ordinary mode."""
    seen, step = set(), EagerEngine.step

    def watched(engine, *arguments):
        seen.add(torch.are_deterministic_algorithms_enabled())
        return step(engine, *arguments)

    ordinary = elsewhere()
    monkeypatch.setattr(EagerEngine, "step", watched)
    folder, asked = make_run({"execution.deterministic": True}), iter((False, True))
    assert train_run(folder, should_stop=lambda: next(asked)) == "interrupted"
    assert train_run(folder) == "done"
    assert seen == {True} and folder.record().machine.deterministic
    assert folder.record().started_at_step > 0
    assert curve_of(folder) == curve_of(ordinary)
    assert not torch.are_deterministic_algorithms_enabled()


@pytest.mark.gpu
@pytest.mark.parametrize("precision", ["fp32", "bf16"])
@pytest.mark.parametrize("name", ["eager", "captured"])
@pytest.mark.parametrize("k", [1, 3])
def test_on_a_device_a_resumed_training_has_the_bits_of_an_undisturbed_one(name, precision, k):
    """Long enough, and large enough, for the order of atomic additions to show."""
    architecture = Architecture(Shape(4, 256, 4, 1024, 256, 512))
    tokens = np.random.default_rng(0).integers(512, size=(30, k, 8, 257))
    lr, half = np.full((30, k), 3e-3), 12

    def engine():
        members = [Member(seed, ADAMW) for seed in range(k)]
        return ENGINES[name](architecture, members, "cuda", options=StepOptions(precision))

    with determinism(True):
        whole, first, second = engine(), engine(), engine()
        expected = whole.train(tokens, lr, torch.Tensor.backward)
        first.train(tokens[:half], lr[:half], torch.Tensor.backward)
        for member in range(k):
            second.load(member, first.state(member), half)
        found = second.train(tokens[half:], lr[half:], torch.Tensor.backward)
        assert np.array_equal(found.loss, expected.loss[half:])
        for member in range(k):
            state = second.state(member)
            assert all(torch.equal(state[n], t) for n, t in whole.state(member).items())
