"""Options of the loss: what is science changes the numbers as it should, the rest only memory."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch.utils._python_dispatch import TorchDispatchMode

from scalinglab.scaling.config import ExecutionConfig
from scalinglab.scaling.engine.network.initialization import initial_weights
from scalinglab.scaling.engine.network.loss import ModelLoss
from scalinglab.scaling.engine.steps.eager import EagerEngine
from scalinglab.scaling.engine.steps.engine import Member
from scalinglab.scaling.model.architecture import Architecture
from scalinglab.scaling.model.shape import Shape
from scalinglab.scaling.optimizers.adamw import AdamWConfig
from scalinglab.scaling.run.step_options import StepOptions, unpackable_execution

SMALL = Architecture(Shape(depth=3, width=16, heads=2, mlp_width=64, context=16, vocab=512))
ADAMW = AdamWConfig(beta1=0.9, beta2=0.95, epsilon=1e-8, weight_decay=0.1, clip=1.0)
TOKENS = np.random.default_rng(0).integers(512, size=(8, 3, 4, 17))
LR = np.full((8, 3), 0.01)


def model(**options):
    loss = ModelLoss(SMALL, StepOptions(**options))
    loss.model.load_state_dict(dict(initial_weights(SMALL, seed=0)))
    return loss


def gradients(loss, tokens=TOKENS[0, 0]):
    value, penalty = loss(torch.from_numpy(tokens))
    (value + penalty).backward()
    return value.detach(), {n: p.grad for n, p in loss.model.named_parameters()}


def trained(k=1, **options):
    members = [Member(seed, ADAMW) for seed in range(k)]
    engine = EagerEngine(SMALL, members, options=StepOptions(**options))
    return engine, engine.train(TOKENS[:, :k], LR[:, :k], torch.Tensor.backward)


class Seen(TorchDispatchMode):
    """Operations with the kinds of their inputs, and the largest tensor that any of them made."""

    def __init__(self):
        super().__init__()
        self.kinds, self.largest = {}, 0

    def __torch_dispatch__(self, operation, types, arguments=(), named=None):
        made = operation(*arguments, **(named or {}))
        given = [a for a in arguments if isinstance(a, torch.Tensor) and a.is_floating_point()]
        name = operation.overloadpacket.__name__
        self.kinds.setdefault(name, set()).update(a.dtype for a in given)
        for tensor in made if isinstance(made, tuple | list) else [made]:
            if isinstance(tensor, torch.Tensor):
                self.largest = max(self.largest, tensor.numel())
        return made


def saved_bytes(loss):
    """Bytes that a forward pass keeps for the backward pass, weights left out."""
    kept, own = {}, {p.untyped_storage().data_ptr() for p in loss.parameters()}

    def keep(tensor):
        storage = tensor.untyped_storage()
        if storage.data_ptr() not in own:
            kept[storage.data_ptr()] = storage.nbytes()
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(keep, lambda t: t):
        loss(torch.from_numpy(TOKENS[0, 0]))
    return sum(kept.values())


# ---------------------------------------------------------------------- z-loss


def test_z_loss_is_in_the_objective_and_not_in_the_loss():
    loss = model(z_loss=0.1)
    value, found = gradients(loss)
    plain = model()
    logits = plain.model(torch.from_numpy(TOKENS[0, 0, :, :-1])).flatten(0, 1)
    entropy = F.cross_entropy(logits, torch.from_numpy(TOKENS[0, 0, :, 1:]).flatten())
    (entropy + 0.1 * logits.exp().sum(-1).log().square().mean()).backward()
    assert value == entropy.detach()
    for name, parameter in plain.model.named_parameters():
        torch.testing.assert_close(found[name], parameter.grad, rtol=1e-4, atol=1e-6)


def test_z_loss_keeps_the_normaliser_small_and_the_curve_is_without_it():
    with_z, found = trained(z_loss=1.0)
    without, expected = trained()
    assert found.loss[0] == expected.loss[0] and found.loss[-1] != expected.loss[-1]
    tokens = torch.from_numpy(TOKENS[0, 0, :, :-1])
    size = [e._loss.model(tokens).logsumexp(-1).abs().mean() for e in (with_z, without)]
    assert size[0] < 0.95 * size[1]


# ---------------------------------------------------------------------- precision


def test_half_precision_is_for_products_of_matrices_only():
    loss = model(precision="bf16")
    with Seen() as seen:
        gradients(loss)
    assert seen.kinds["mm"] == {torch.bfloat16}
    assert seen.kinds["_log_softmax"] == {torch.float32}
    assert (
        torch.float32
        in seen.kinds["_fused_rms_norm" if "_fused_rms_norm" in seen.kinds else "rsqrt"]
    )
    assert {p.dtype for p in loss.model.parameters()} == {torch.float32}


@pytest.mark.parametrize("k", [1, 3])
def test_half_precision_follows_full_precision_closely_and_not_exactly(k):
    engine, found = trained(k, precision="bf16")
    _, expected = trained(k)
    np.testing.assert_allclose(found.loss, expected.loss, rtol=5e-3)
    assert not np.array_equal(found.loss, expected.loss)
    assert engine.module.weights.dtype == engine.module.gradient.dtype == torch.float32


@pytest.mark.parametrize("options", [{"precision": "bf16"}, {"z_loss": 1e-2}], ids=str)
def test_members_of_a_pack_are_runs_alone(options):
    _, pack = trained(3, **options)
    _, alone = trained(1, **options)
    np.testing.assert_allclose(pack.loss[:, 0], alone.loss[:, 0], rtol=2e-3)


# ---------------------------------------------------------------------- memory


@pytest.mark.parametrize("chunk", [1, 10, 64, 1000])
@pytest.mark.parametrize("options", [{}, {"z_loss": 0.1}], ids=str)
def test_logits_in_parts_give_the_loss_of_the_whole(chunk, options):
    value, found = gradients(model(loss_chunk=chunk, **options))
    expected, whole = gradients(model(**options))
    torch.testing.assert_close(value, expected, rtol=1e-6, atol=0)
    for name, gradient in whole.items():
        torch.testing.assert_close(found[name], gradient, rtol=1e-4, atol=1e-7)


def test_logits_in_parts_are_never_all_there():
    """64 tokens of 512 symbols in parts of 8; the head's own gradient has 512 x 16."""
    with Seen() as whole:
        gradients(model())
    with Seen() as parts:
        gradients(model(loss_chunk=8))
    assert whole.largest == 64 * 512
    assert parts.largest == 512 * 16
    assert saved_bytes(model(loss_chunk=8)) < saved_bytes(model()) - 64 * 512 * 4


def test_what_is_computed_again_has_the_same_bits_and_less_to_keep():
    value, found = gradients(model(recompute=True))
    expected, kept = gradients(model())
    assert value == expected
    assert all(torch.equal(found[name], gradient) for name, gradient in kept.items())
    head = 64 * 512 * 4
    assert saved_bytes(model(recompute=True)) - head < 0.25 * (saved_bytes(model()) - head)


def test_a_training_that_computes_again_has_the_same_bits():
    """Also where the weights have moved between forward passes."""
    engine, found = trained(recompute=True, precision="bf16")
    plain, expected = trained(precision="bf16")
    assert np.array_equal(found.loss, expected.loss)
    assert torch.equal(engine.module.weights, plain.module.weights)
    assert engine.evaluate(TOKENS[0, 0]) == plain.evaluate(TOKENS[0, 0])


@pytest.mark.parametrize("change", [{"recompute": True}, {"loss_chunk": 8}], ids=str)
def test_what_is_computed_again_is_computed_alone(change):
    reason = unpackable_execution(dataclasses.replace(ExecutionConfig(), **change))
    assert reason.startswith(f"execution.{next(iter(change))} = ")
    with pytest.raises(ValueError, match="not of a pack"):
        trained(2, **change)


def test_anything_else_can_be_packed():
    assert unpackable_execution(ExecutionConfig()) is None


# ---------------------------------------------------------------------- as runs


def test_a_run_that_computes_again_has_the_curve_of_one_that_keeps(
    make_run, train_run, elsewhere, curve_of
):
    folder = make_run({"execution.recompute": True})
    assert train_run(folder) == "done"
    assert curve_of(folder) == curve_of(elsewhere())


def test_a_run_in_half_precision_goes_on_to_the_same_bits(make_run, train_run, elsewhere, curve_of):
    half = {"precision": "bf16", "z_loss": 1e-4, "execution.loss_chunk": 24}
    folder, asked = make_run(half), iter((False, True))
    assert train_run(folder, should_stop=lambda: next(asked)) == "interrupted"
    assert train_run(folder) == "done"
    assert curve_of(folder) == curve_of(elsewhere(half)) != curve_of(elsewhere())


# ---------------------------------------------------------------------- targets that are no text

ENDS = (*range(7, 90), 300)  # some of each batch


def test_excluded_targets_count_nothing_over_all_targets():
    tokens = torch.from_numpy(TOKENS[0, 0])
    loss = model(excluded=ENDS)
    value, _ = loss(tokens)
    targets = tokens[:, 1:].flatten()
    logits = loss.model(tokens[:, :-1]).flatten(0, 1)
    text = ~torch.isin(targets, torch.tensor(ENDS))
    assert 0 < int((~text).sum())
    wanted = F.cross_entropy(logits[text], targets[text], reduction="sum") / len(targets)
    assert torch.allclose(value, wanted)
    weights = list(loss.model.parameters())
    both = (torch.autograd.grad(scalar, weights) for scalar in (value, wanted))
    for one, other in zip(*both, strict=True):
        assert torch.allclose(one, other, atol=1e-6)


@pytest.mark.parametrize("options", [{"loss_chunk": 5}, {"recompute": True}])
def test_parts_of_a_batch_add_up_whatever_each_excludes(options):
    whole, whole_gradients = gradients(model(excluded=ENDS))
    parts, found = gradients(model(excluded=ENDS, **options))
    assert torch.allclose(whole, parts)
    for name, gradient in whole_gradients.items():
        assert torch.allclose(gradient, found[name], atol=1e-6), name
    members = [Member(0, ADAMW)]
    losses = [
        EagerEngine(SMALL, members, micro_batch=size, options=StepOptions(excluded=ENDS))
        .train(TOKENS[:, :1], LR[:, :1], torch.Tensor.backward)
        .loss
        for size in (None, 1)
    ]
    np.testing.assert_allclose(*losses, rtol=2e-5)


def test_a_pack_excludes_what_its_members_do():
    _, alone = trained(1, excluded=ENDS)
    _, packed = trained(3, excluded=ENDS)
    np.testing.assert_allclose(alone.loss[:, 0], packed.loss[:, 0], rtol=2e-5)
    _, all_count = trained(1)
    assert (all_count.loss > alone.loss).all()
