"""Differential attention is what the plainest code for its formula computes."""

from __future__ import annotations

import math

import pytest
import torch

from scalinglab.scaling.engine.network.initialization import initial_weights
from scalinglab.scaling.engine.network.mixers.differential import Differential
from scalinglab.scaling.engine.network.transformer import Transformer
from scalinglab.scaling.errors import ConfigError
from scalinglab.scaling.model.counts import parameter_counts
from scalinglab.scaling.model.dial import architecture_of
from scalinglab.scaling.model.flops import flop_parts
from scalinglab.scaling.model.options import ModelConfig
from scalinglab.scaling.read_options import from_dict

X_BTD = torch.randn(2, 10, 24, generator=torch.Generator().manual_seed(0))


def network(options=(), **model):
    mixer = {"name": "differential", **dict(options)}
    keys = {"depth": 2, "width": 24, "heads": 4, "context": 10, "mixer": mixer, **model}
    return architecture_of(from_dict(ModelConfig, keys), vocab=7)


def built(options=(), **model) -> Transformer:
    architecture = network(options, **model)
    made = Transformer(architecture)
    made.load_state_dict(dict(initial_weights(architecture, seed=0)))
    return made


def by_a_loop(mixer: Differential, share: float, start: float) -> torch.Tensor:
    """Head by head and token by token, without positions: angles are zero."""
    y = torch.zeros(2, 10, 24)
    q, k = (getattr(mixer, name)(X_BTD).view(2, 10, 4, 6) for name in ("query", "key"))
    v = mixer.value(X_BTD).view(2, 10, 2, 12)
    for pair in range(2):
        for t in range(10):
            maps = []
            for head in (2 * pair, 2 * pair + 1):
                scores = torch.einsum("bk,bsk->bs", q[:, t, head], k[:, : t + 1, head])
                maps.append((scores / math.sqrt(6)).softmax(-1))
            out = torch.einsum("bs,bsv->bv", maps[0] - share * maps[1], v[:, : t + 1, pair])
            size = out.square().mean(-1, keepdim=True).add(1e-6).sqrt()
            y[:, t, 12 * pair : 12 * (pair + 1)] = (1 - start) * out / size
    return mixer.out(y)


@pytest.mark.parametrize(("start", "expected"), [(None, 0.8 - 0.6 * math.exp(-0.3)), (0.5, 0.5)])
def test_it_is_what_a_loop_computes(start, expected):
    mixer = built({"start": start}, qk_norm=False).blocks[1].mixer
    flat = torch.ones(10, 6), torch.zeros(10, 6)
    with torch.no_grad():
        assert float(mixer.subtracted_share()) == pytest.approx(expected)
        found = mixer(X_BTD, *flat)
        torch.testing.assert_close(found, by_a_loop(mixer, expected, expected))
        mixer.lambda_gain[:6] = torch.tensor([0.5, -0.1, 0.2, 0.0, 0.3, 0.0])
        product = 0.1 * (0.5 + 0.1 + 0.2 + 0.3)
        moved = math.exp(product) - 1 + expected
        assert float(mixer.subtracted_share()) == pytest.approx(moved)
        torch.testing.assert_close(mixer(X_BTD, *flat), by_a_loop(mixer, moved, expected))


def test_it_has_the_weights_of_attention_and_wider_values():
    own, plain = network(), architecture_of(ModelConfig(depth=2, width=24, heads=4, context=10), 7)
    counts, attention = parameter_counts(own), parameter_counts(plain)
    assert counts["n_block"] == attention["n_block"]
    assert counts["n_total"] - attention["n_total"] == 2 * (4 * 6 + 2 * 6)  # vectors and norms
    parts, others = flop_parts(own), flop_parts(plain)
    assert parts["attention_full"] == 1.5 * others["attention_full"]


@pytest.mark.parametrize(
    ("model", "message"),
    [
        ({"heads": 3}, "'differential' of 3 heads (model.heads): two make one"),
        ({"placement": "normformer"}, "'normformer' clashes with model.mixer.name = 'differenti"),
        ({"init": "mimetic"}, "model.init = 'mimetic' clashes with model.mixer.name"),
        ({"mixer": {"name": "differential", "start": 2.0}}, "mixer.start = 2.0: allowed is 0 to 1"),
    ],
)
def test_what_does_not_go_together_is_refused(model, message):
    with pytest.raises(ConfigError) as refusal:
        network(**model)
    assert message in str(refusal.value)
