"""FLOP parts against an independent counter; conventions against each paper's own formula."""

import pytest
import torch
import torch.nn.functional as F
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode

from scalinglab.scaling.engine.network.transformer import Transformer
from scalinglab.scaling.model.architecture import Architecture
from scalinglab.scaling.model.flops import CONVENTIONS, flop_parts, flops_per_token
from scalinglab.scaling.model.shape import Shape

SHAPES = [
    Shape(depth=1, width=16, heads=2, mlp_width=64, context=16, vocab=8),
    Shape(depth=3, width=24, heads=3, mlp_width=96, context=10, vocab=50),
    Shape(depth=2, width=32, heads=1, mlp_width=32, context=40, vocab=11),
    Shape(depth=2, width=64, heads=2, mlp_width=256, context=256, vocab=256),
]
DEFAULT_MLP = [s for s in SHAPES if s.mlp_width == 4 * s.width]


@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_parts_are_what_torch_counts_forward_and_backward(shape):
    """The plain kernel computes the full T x T map, so palm's sum is what really happens."""
    tokens = torch.randint(shape.vocab, (3, shape.context + 1))
    model = Transformer(Architecture(shape))
    with FlopCounterMode(display=False) as counter, sdpa_kernel(SDPBackend.MATH):
        logits = model(tokens[:, :-1])
        F.cross_entropy(logits.flatten(0, 1), tokens[:, 1:].flatten()).backward()
    parts = flop_parts(Architecture(shape))
    trained = 3 * shape.context
    assert counter.get_total_flops() == trained * (parts["matmul"] + parts["attention_full"])


def test_a_query_sees_half_of_the_keys_on_average():
    for shape in SHAPES:
        parts = flop_parts(Architecture(shape))
        assert 2 * parts["attention_causal"] == parts["attention_full"]
        assert parts["matmul"] == parts["block"] + parts["unembedding"]


# FLOPs per trained token as each source writes them, with h d_h = d and an MLP of 4 d.
def kaplan(L, d, h, T, V):  # 2001.08361, table 1: C = 6 N, N = 12 L d^2
    return 6 * (12 * L * d**2)


def porian(L, d, h, T, V):  # 2406.19146: the head's matrix belongs to N
    return 6 * (12 * L * d**2 + V * d)


def porian_with_attention(L, d, h, T, V):
    return 6 * (12 * L * d**2 + V * d) + 6 * L * d * T


def palm(L, d, h, T, V):  # 2204.02311, appendix B: 6 N + 12 L H Q T
    return 6 * (12 * L * d**2 + V * d) + 12 * L * h * (d // h) * T


def levanter(L, d, h, T, V):  # forward: 2 x matrices, scores, mask and softmax, head; x 3
    qkvo, mlp, scores_and_values, mask = 2 * 4 * d**2, 2 * 8 * d**2, 4 * T * d, 3 * T * h
    return 3 * (L * (qkvo + mlp + scores_and_values + mask) + 2 * V * d)


def lingua(L, d, h, T, V):  # 6 (all parameters - embedding) + 7 L d T, half of 3.5 forwards
    everything = 2 * V * d + 12 * L * d**2 + L * (2 * d + 2 * (d // h)) + d
    return 6 * (everything - V * d) + 7 * L * d * T


def hoffmann(L, d, h, T, V):  # 2203.15556, appendix F, per token of a sequence of T
    qkv, out, mlp = 2 * 3 * d * d, 2 * d * d, 2 * 2 * d * 4 * d
    logits, softmax, values = 2 * T * d, 3 * h * T, 2 * T * d
    forward = 2 * V * d + L * (qkv + logits + softmax + values + out + mlp) + 2 * d * V
    return 3 * forward


BY_HAND = {
    "kaplan": kaplan,
    "matmul": porian,
    "causal": porian_with_attention,
    "palm": palm,
    "palm_mask": levanter,
    "lingua": lingua,
    "chinchilla": hoffmann,
}


@pytest.mark.parametrize("shape", DEFAULT_MLP, ids=str)
@pytest.mark.parametrize("name", CONVENTIONS)
def test_conventions_are_the_formulas_of_their_sources(name, shape):
    expected = BY_HAND[name](shape.depth, shape.width, shape.heads, shape.context, shape.vocab)
    parts = flop_parts(Architecture(shape))
    assert flops_per_token(parts, name) == pytest.approx(expected, rel=1e-15)


def test_a_published_ladder_row():
    """A run of 2 x 64 on 2.29 M tokens of context 256, in the three conventions."""
    parts = flop_parts(Architecture(Shape(2, 64, 2, 256, context=256, vocab=256)))
    tokens = 20 * 114_688
    found = [flops_per_token(parts, c) * tokens for c in ("matmul", "causal", "palm")]
    assert found == pytest.approx([1.58e12, 2.03e12, 2.48e12], rel=3e-3)


def test_the_default_is_the_causal_convention():
    parts = flop_parts(Architecture(SHAPES[0]))
    assert flops_per_token(parts) == parts["matmul"] + parts["attention_causal"]


def test_an_unknown_convention_lists_the_known_ones():
    with pytest.raises(ValueError, match="unknown FLOP convention 'plam'; allowed: kaplan, matmul"):
        flops_per_token(flop_parts(Architecture(SHAPES[0])), "plam")
