"""What the model must do, shown by its gradients and its symmetries rather than by its shapes."""

import dataclasses

import numpy as np
import pytest
import torch
from torch.func import functional_call

from scaling.architecture import Architecture, Shape
from scaling.model import RMSNorm, Transformer, initial_weights, rotary_table, rotate

SHAPE = Shape(depth=2, width=16, heads=2, mlp_width=64, context=12, vocab=20)
SMALL = Architecture(SHAPE)


@pytest.fixture
def model():
    model = Transformer(SMALL)
    model.load_state_dict(initial_weights(SMALL, seed=0))
    return model


def test_a_logit_depends_on_all_earlier_tokens_and_on_no_later_one(model):
    """d logits[t] / d embedding: exactly zero for tokens after t, not zero up to t.

    All tokens differ, so that rows of the embedding are positions.
    """
    tokens = torch.arange(SHAPE.context)
    weights = torch.randn(SHAPE.vocab, generator=torch.Generator().manual_seed(0))
    logits = model(tokens[None])[0]
    for t in range(SHAPE.context):
        (gradient,) = torch.autograd.grad(logits[t] @ weights, model.embedding.weight,
                                          retain_graph=True)  # fmt: skip
        reached = gradient[: SHAPE.context].abs().sum(dim=1)
        assert torch.all(reached[: t + 1] > 0)
        assert torch.all(reached[t + 1 :] == 0)


def test_sequences_of_a_batch_do_not_see_each_other(model):
    tokens = torch.arange(20)[torch.randperm(20)][:10].view(2, 5)
    logits = model(tokens)
    logits[0].sum().backward()
    assert torch.all(model.embedding.weight.grad[tokens[1]] == 0)


def test_a_shorter_sequence_gives_the_same_logits(model):
    tokens = torch.arange(SHAPE.context)[None]
    torch.testing.assert_close(model(tokens[:, :5]), model(tokens)[:, :5])


def test_the_position_of_a_token_matters(model):
    """Without rotary positions a token after two others could not tell their order."""
    one, other = model(torch.tensor([[1, 2, 3], [2, 1, 3]]))[:, -1]
    assert not torch.allclose(one, other, atol=1e-3)


# ---------------------------------------------------------------------- rotary positions


def test_scores_depend_on_the_distance_only():
    """One query and one key at every position: all diagonals of the score map are constant."""
    T, K = 24, 8
    cos, sin = rotary_table(T, K, base=100.0)
    q, k = torch.randn(2, 1, K, generator=torch.Generator().manual_seed(0))
    scores = rotate(q.expand(T, K), cos, sin) @ rotate(k.expand(T, K), cos, sin).T
    diagonals = [scores.diagonal(offset) for offset in range(-T + 1, T)]
    for diagonal in diagonals:
        torch.testing.assert_close(diagonal, diagonal[:1].expand_as(diagonal), atol=1e-5, rtol=0)
    means = torch.stack([d.mean() for d in diagonals])
    assert len(means.unique()) == len(means)  # and every distance has its own score


def test_rotation_keeps_lengths_and_leaves_position_zero():
    cos, sin = rotary_table(50, 8, base=10_000.0)
    x = torch.randn(50, 8)
    torch.testing.assert_close(rotate(x, cos, sin).norm(dim=-1), x.norm(dim=-1))
    assert torch.equal(rotate(x, cos, sin)[0], x[0])


def test_the_slowest_pair_turns_by_the_base():
    cos, _ = rotary_table(2, 8, base=16.0)
    assert cos[1].tolist() == pytest.approx(np.cos(16.0 ** -(np.array([0, 1, 2, 3] * 2) / 4)))


# ---------------------------------------------------------------------- norms


@pytest.mark.parametrize("name", ["query", "key"])
def test_normalised_queries_and_keys_ignore_the_scale_of_their_weights(model, name):
    tokens = torch.arange(SHAPE.context)[None]
    before = model(tokens)
    with torch.no_grad():
        for block in model.blocks:
            getattr(block.attention, name).weight.mul_(50.0)
    torch.testing.assert_close(model(tokens), before, atol=1e-4, rtol=1e-4)


def test_the_scale_of_the_values_does_matter(model):
    tokens = torch.arange(SHAPE.context)[None]
    before = model(tokens)
    with torch.no_grad():
        model.blocks[0].attention.value.weight.mul_(50.0)
    assert not torch.allclose(model(tokens), before, atol=1e-2)


def test_rms_norm_by_hand():
    norm = RMSNorm(2)
    with torch.no_grad():
        norm.gain.copy_(torch.tensor([1.0, 10.0]))
    expected = torch.tensor([3.0, 40.0]) / (25 / 2) ** 0.5
    torch.testing.assert_close(norm(torch.tensor([3.0, 4.0])), expected)


# ---------------------------------------------------------------------- initial weights


def test_initial_weights_are_those_of_the_modules_parameters():
    names = {name: p.shape for name, p in Transformer(SMALL).named_parameters()}
    assert {name: w.shape for name, w in initial_weights(SMALL, 0).items()} == names


def test_a_weight_is_a_function_of_seed_and_name_alone():
    """Neither global random state nor what was made before it matters: a deeper model's first
    block, and a head of the same size beside more blocks, have the same weights."""
    torch.manual_seed(1)
    one = initial_weights(SMALL, 3)
    torch.manual_seed(2)
    np.random.seed(3)
    deeper = initial_weights(Architecture(dataclasses.replace(SHAPE, depth=4)), 3)
    same = [n for n in one if not n.endswith(("out.weight", "down.weight"))]
    assert all(torch.equal(one[name], deeper[name]) for name in same)
    scaled = "blocks.1.down.weight"  # divided by sqrt(2 L)
    torch.testing.assert_close(one[scaled] / 2**0.5, deeper[scaled])


def test_every_seed_and_every_name_has_its_own_weights():
    one, other = initial_weights(SMALL, 0), initial_weights(SMALL, 1)
    matrices = [n for n in one if not n.endswith("gain")]
    assert all(not torch.equal(one[n], other[n]) for n in matrices)
    firsts = [float(one[n].flatten()[0]) for n in matrices]
    assert len(set(firsts)) == len(firsts)


def test_initial_scales():
    """Variance 1 / fan-in; writes to the residual stream divided by 2 L; embedding 1; gains 1."""
    shape = Shape(depth=3, width=128, heads=4, mlp_width=512, context=8, vocab=256)
    weights = initial_weights(Architecture(shape), 0)
    expected = {
        "embedding.weight": 1.0,
        "head.weight": 128**-0.5,
        "blocks.2.attention.query.weight": 128**-0.5,
        "blocks.2.attention.out.weight": (128 * 6) ** -0.5,
        "blocks.2.up.weight": 128**-0.5,
        "blocks.2.down.weight": (512 * 6) ** -0.5,
    }
    found = {name: float(weights[name].std()) for name in expected}
    assert found == pytest.approx(expected, rel=0.02)
    assert all(torch.all(w == 1) for name, w in weights.items() if name.endswith("gain"))


def test_a_fresh_model_predicts_about_evenly(model):
    logits = model(torch.randint(SHAPE.vocab, (8, SHAPE.context)))
    assert 0.5 < float(logits.detach().std()) < 2.0


def test_initial_weights_never_change_silently():
    """A change here is a change of every run: identities must change with it."""
    weight = initial_weights(SMALL, 7)["blocks.0.attention.query.weight"]
    assert weight[0, :3].tolist() == pytest.approx([-0.18785, 0.157443, -0.269777], abs=1e-6)


def test_the_model_is_a_function_of_its_parameters(model):
    """The engine calls it with stacked weights: nothing may hide in buffers."""
    tokens = torch.arange(6)[None]
    other = {name: w * 1.5 for name, w in initial_weights(SMALL, 1).items()}
    called = functional_call(model, other, (tokens,))
    model.load_state_dict(other)
    assert torch.equal(model(tokens), called)
