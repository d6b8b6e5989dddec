"""Counts by hand are those of the real module, role by role."""

import torch
from hypothesis import given
from hypothesis import strategies as st

from scalinglab.scaling.engine.network.transformer import Transformer
from scalinglab.scaling.model.architecture import Architecture
from scalinglab.scaling.model.counts import parameter_counts
from scalinglab.scaling.model.flops import flop_parts
from scalinglab.scaling.model.shape import Shape


@st.composite
def shapes(draw):
    heads, half = draw(st.integers(1, 4)), draw(st.integers(1, 6))
    return Shape(
        depth=draw(st.integers(1, 4)),
        width=heads * 2 * half,
        heads=heads,
        mlp_width=draw(st.integers(1, 5)) * heads * 2 * half,
        context=draw(st.integers(1, 9)),
        vocab=draw(st.integers(2, 300)),
    )


def role(name):
    if name.endswith("gain"):
        return "gain"
    if name.startswith("embedding"):
        return "embedding"
    if name.startswith("head"):
        return "unembedding"
    return "attention" if ".attention." in name else "mlp"


@given(shapes())
def test_counts_are_those_of_the_module(shape):
    found = dict.fromkeys(["embedding", "attention", "mlp", "gain", "unembedding"], 0)
    with torch.device("meta"):
        for name, parameter in Transformer(Architecture(shape)).named_parameters():
            found[role(name)] += parameter.numel()
    counts = parameter_counts(Architecture(shape))
    assert {r: counts[r] for r in found} == found
    assert counts["n_total"] == sum(found.values())
    assert counts["n_block"] == found["attention"] + found["mlp"]
    assert counts["n_matmul"] == counts["n_block"] + found["unembedding"]


@given(depth=st.integers(1, 40), heads=st.integers(1, 16), vocab=st.integers(2, 50_000))
def test_the_default_block_has_exactly_12_d_squared(depth, heads, vocab):
    d = 16 * heads
    shape = Shape(depth, d, heads, mlp_width=4 * d, context=128, vocab=vocab)
    assert parameter_counts(Architecture(shape))["n_block"] == 12 * depth * d**2


def test_weights_that_are_used_again_are_active_each_time():
    once, thrice = (Architecture(Shape(2, 16, 2, 64, 8, 11), loops=n) for n in (1, 3))
    few, many = parameter_counts(once), parameter_counts(thrice)
    assert all(few[n] == many[n] for n in ("n_block", "n_matmul", "n_total"))
    assert many["n_active"] == 3 * 2 * 12 * 16**2 + 11 * 16
    assert flop_parts(thrice)["block"] == 3 * flop_parts(once)["block"]
    assert flop_parts(thrice)["attention_causal"] == 3 * flop_parts(once)["attention_causal"]
