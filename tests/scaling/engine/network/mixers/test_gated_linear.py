"""Chunks compute what a state that is carried from token to token does."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F

from scalinglab.scaling.engine.network.initialization import initial_weights
from scalinglab.scaling.engine.network.transformer import Transformer
from scalinglab.scaling.errors import ConfigError
from scalinglab.scaling.model.counts import parameter_counts
from scalinglab.scaling.model.dial import architecture_of
from scalinglab.scaling.model.flops import flop_parts
from scalinglab.scaling.model.options import ModelConfig
from scalinglab.scaling.read_options import from_dict

SHAPE = {"depth": 1, "width": 24, "heads": 2, "context": 12}


def network(**model):
    return architecture_of(from_dict(ModelConfig, SHAPE | model), vocab=11)


@pytest.mark.parametrize("chunk", [1, 4, 5, 64])
def test_it_is_a_state_that_decays_and_is_read(chunk):
    architecture = network(mixer={"name": "gated_linear", "chunk": chunk})
    model = Transformer(architecture)
    model.load_state_dict(dict(initial_weights(architecture, seed=0)))
    part = model.blocks[0].mixer
    x = torch.randn(2, 12, 24, generator=torch.Generator().manual_seed(0))
    q, k, v = (
        name(x).unflatten(-1, (2, -1)) for name in (part.query, part.key, part.value)
    )  # (B, T, H, width)
    q, k = part.query_norm(q), part.key_norm(k)
    decay = torch.sigmoid(part.decay(x)) ** (1 / 16)
    state, read = torch.zeros(2, 2, 6, 12), []
    for t in range(12):
        state = decay[:, t, :, None, None] * state + k[:, t, :, :, None] * v[:, t, :, None]
        read.append(torch.einsum("bhk,bhkv->bhv", q[:, t] / 6**0.5, state))
    y = part.state_norm(torch.stack(read, 1)).flatten(-2)
    expected = part.out(y * F.silu(part.gate(x)))
    torch.testing.assert_close(part(x, None, None), expected, rtol=1e-4, atol=1e-5)


def test_a_block_has_the_weights_of_attention_but_for_its_decays():
    linear, attention = network(mixer={"name": "gated_linear"}), network()
    difference = parameter_counts(linear)["n_block"] - parameter_counts(attention)["n_block"]
    assert difference == 2 * 24
    long = network(mixer={"name": "gated_linear"}, context=1024)
    assert (
        flop_parts(long)["attention_full"]
        < 1.1 * flop_parts(network(mixer={"name": "gated_linear"}, context=512))["attention_full"]
    )


@pytest.mark.parametrize(
    ("model", "message"),
    [
        ({"placement": "hybrid"}, "placement = 'hybrid' clashes with"),
        ({"init": "mimetic"}, "mimetic"),
    ],
)
def test_what_it_has_not_is_refused(model, message):
    with pytest.raises(ConfigError, match=message):
        network(mixer={"name": "gated_linear"}, **model)
