"""What the model must do, shown by its gradients and its symmetries rather than by its shapes."""

import dataclasses

import numpy as np
import pytest
import torch
from torch.func import functional_call

from scalinglab.scaling.engine.network.initialization import initial_weights
from scalinglab.scaling.engine.network.layers import rotary_table, rotate
from scalinglab.scaling.engine.network.norms.rmsnorm import RMSNorm
from scalinglab.scaling.engine.network.transformer import Transformer
from scalinglab.scaling.model.architecture import Architecture
from scalinglab.scaling.model.shape import Shape

SHAPE = Shape(depth=2, width=16, heads=2, mlp_width=64, context=12, vocab=20)
SMALL = Architecture(SHAPE)


@pytest.fixture
def model():
    model = Transformer(SMALL)
    model.load_state_dict(dict(initial_weights(SMALL, seed=0)))
    return model


def test_a_logit_depends_on_all_earlier_tokens_and_on_no_later_one(model):
    """d logits[t] / d embedding: exactly zero for tokens after t, not zero up to t.

    All tokens differ, so that rows of the embedding are positions.
    """
    tokens = torch.arange(SHAPE.context)
    weights = torch.randn(SHAPE.vocab, generator=torch.Generator().manual_seed(0))
    logits = model(tokens[None])[0]
    for t in range(SHAPE.context):
        (gradient,) = torch.autograd.grad(
            logits[t] @ weights, model.embedding.weight, retain_graph=True
        )
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


def test_a_fresh_model_predicts_about_evenly(model):
    logits = model(torch.randint(SHAPE.vocab, (8, SHAPE.context)))
    assert 0.5 < float(logits.detach().std()) < 2.0


def test_the_model_is_a_function_of_its_parameters(model):
    """The engine calls it with stacked weights: nothing may hide in buffers."""
    tokens = torch.arange(6)[None]
    other = {name: w * 1.5 for name, w in initial_weights(SMALL, 1)}
    called = functional_call(model, other, (tokens,))
    model.load_state_dict(other)
    assert torch.equal(model(tokens), called)


# ---------------------------------------------------------------------- options


def fresh(**options) -> Transformer:
    architecture = Architecture(SHAPE, **options)
    model = Transformer(architecture)
    model.load_state_dict(dict(initial_weights(architecture, seed=0)))
    return model


def rms(x):
    return x.square().mean(dim=-1).sqrt()


TOKENS = torch.arange(12)[None]


@pytest.mark.parametrize("placement", ["post", "deepnorm"])
def test_post_norm_leaves_a_normalised_stream_and_needs_no_final_norm(placement):
    model = fresh(placement=placement)
    hidden = model.hidden(TOKENS)
    torch.testing.assert_close(rms(hidden), torch.ones(1, 12), atol=1e-4, rtol=0)
    assert isinstance(model.norm, torch.nn.Identity)


def test_deepnorm_is_post_norm_with_a_louder_stream():
    """With equal weights, a stream times alpha is a branch over alpha: the norm takes the rest."""
    model = fresh(placement="deepnorm")
    plain = Transformer(Architecture(SHAPE, placement="post"))
    plain.load_state_dict(model.state_dict())
    for block in plain.blocks:
        for residual in (block.attention_residual, block.mlp_residual):
            residual.branch_multiplier = 4**-0.25  # (2 L)^(1/4) at L = 2
    torch.testing.assert_close(plain(TOKENS), model(TOKENS), atol=1e-4, rtol=1e-4)


def test_under_peri_a_branch_has_unit_size_whatever_its_weights():
    model = fresh(placement="peri")
    before = model(TOKENS)
    with torch.no_grad():
        for block in model.blocks:
            block.down.weight.mul_(30.0)
            block.attention.out.weight.mul_(30.0)
    torch.testing.assert_close(model(TOKENS), before, atol=1e-3, rtol=1e-3)


def test_mix_is_post_norm_first_and_pre_norm_after():
    model = fresh(placement="mix", post_fraction=0.5)
    names = {name for name, _ in model.named_parameters() if "norm.gain" in name}
    assert {
        "blocks.0.attention_sum_norm.gain",
        "blocks.0.mlp_sum_norm.gain",
        "blocks.1.attention_norm.gain",
        "blocks.1.mlp_norm.gain",
        "norm.gain",
    } <= names
    assert "blocks.0.attention_norm.gain" not in names


def test_hybrid_ignores_the_scale_of_values():
    model = fresh(placement="hybrid")
    before = model(TOKENS)
    with torch.no_grad():
        model.blocks[0].attention.value.weight.mul_(50.0)
    torch.testing.assert_close(model(TOKENS), before, atol=1e-4, rtol=1e-4)


def test_layer_norm_scaling_divides_by_the_root_of_the_layer():
    """A gain in the norm of the second block of 1 / sqrt(2) is the same network."""
    model = fresh(norm_scale="inverse_sqrt_layer")
    plain = Transformer(Architecture(SHAPE))
    plain.load_state_dict(model.state_dict())
    with torch.no_grad():
        plain.blocks[1].attention_norm.gain.mul_(2**-0.5)
        plain.blocks[1].mlp_norm.gain.mul_(2**-0.5)
    torch.testing.assert_close(plain(TOKENS), model(TOKENS))


def test_pre_rmsnorm_is_pre_layernorm_of_a_centred_stream():
    """arXiv 2305.14858: centre what writes to the stream, and the two norms are one function."""
    one = fresh()
    other = Transformer(Architecture(SHAPE, norm="layernorm"))
    centre = torch.eye(16) - 1 / 16
    state = dict(one.state_dict())
    for name in state:
        if name.endswith(("out.weight", "down.weight")):
            state[name] = centre @ state[name]
    state["embedding.weight"] = state["embedding.weight"] @ centre
    one.load_state_dict(state)
    other.load_state_dict(state, strict=False)
    torch.testing.assert_close(one(TOKENS), other(TOKENS), atol=1e-5, rtol=1e-4)


def test_without_query_key_norm_the_scale_of_keys_matters():
    model = fresh(qk_norm=False)
    before = model(TOKENS)
    with torch.no_grad():
        model.blocks[0].attention.key.weight.mul_(5.0)
    assert not torch.allclose(model(TOKENS), before, atol=1e-3)


def test_a_soft_cap_bounds_logits_and_leaves_small_ones():
    capped, plain = fresh(logit_softcap=3.0), fresh()
    torch.testing.assert_close(capped(TOKENS), 3 * torch.tanh(plain(TOKENS) / 3))
    with torch.no_grad():
        capped.head.weight.mul_(100.0)
        assert float(capped(TOKENS).abs().max()) <= 3.0


def test_a_tied_head_is_the_embedding():
    model = fresh(tied_head=True)
    hidden = model.norm(model.hidden(TOKENS))
    torch.testing.assert_close(model(TOKENS), hidden @ model.embedding.weight.T)


def test_embedding_scales():
    plain, scaled, normed = (fresh(embedding_scale=s) for s in ("one", "sqrt_width", "norm"))
    for model in (plain, scaled, normed):
        with torch.no_grad():  # blocks that add nothing
            for block in model.blocks:
                block.attention.out.weight.zero_()
                block.down.weight.zero_()
    torch.testing.assert_close(scaled.hidden(TOKENS), 4 * plain.hidden(TOKENS))
    torch.testing.assert_close(rms(normed.hidden(TOKENS)), torch.ones(1, 12), atol=1e-4, rtol=0)


def test_head_gains_weigh_heads():
    """NormFormer: with a gain of zero a head's values do not matter."""
    model = fresh(placement="normformer")
    with torch.no_grad():
        model.blocks[1].attention.head_gain[0] = 0.0
        before = model(TOKENS)
        model.blocks[1].attention.value.weight[:8].mul_(7.0)
        torch.testing.assert_close(model(TOKENS), before)
        model.blocks[1].attention.value.weight[8:12].mul_(7.0)  # all of them: the norm's
        assert not torch.allclose(model(TOKENS), before, atol=1e-3)


def test_blocks_in_a_loop_are_deeper_blocks_with_equal_weights():
    looped = Architecture(SHAPE, loops=3)
    deep = Architecture(dataclasses.replace(SHAPE, depth=6))
    few, many = Transformer(looped), Transformer(deep)
    for i, block in enumerate(many.blocks):
        block.load_state_dict(few.blocks[i % 2].state_dict())
    for name in ("embedding", "norm", "head"):
        getattr(many, name).load_state_dict(getattr(few, name).state_dict())
    tokens = torch.arange(SHAPE.context)[None]
    torch.testing.assert_close(few(tokens), many(tokens))


def test_parallel_branches_see_the_same_stream():
    model = Transformer(Architecture(SHAPE, placement="parallel"))
    block, x_BTD = model.blocks[0], torch.randn(2, 12, 16)
    normed = block.attention_norm(x_BTD)
    mixed = block.attention(normed, model.cos_TK, model.sin_TK)
    fed = block.down(block.up(normed).relu().square())
    torch.testing.assert_close(block(x_BTD, model.cos_TK, model.sin_TK), x_BTD + mixed + fed)
