"""Shared keys, windows and ALiBi are what they say, beside the plainest code for each."""

from __future__ import annotations

import math

import pytest
import torch

from scalinglab.scaling.engine.network.initialization import initial_weights
from scalinglab.scaling.engine.network.mixers.attention import Attention, alibi_slopes
from scalinglab.scaling.engine.network.transformer import Transformer
from scalinglab.scaling.model.dial import architecture_of
from scalinglab.scaling.model.options import ModelConfig
from scalinglab.scaling.read_options import from_dict

X_BTD = torch.randn(2, 10, 24, generator=torch.Generator().manual_seed(0))


def part(options=(), **model) -> tuple[Attention, Transformer]:
    keys = {"depth": 1, "width": 24, "heads": 4, "context": 10, "mixer": dict(options), **model}
    architecture = architecture_of(from_dict(ModelConfig, keys), vocab=7)
    model = Transformer(architecture)
    model.load_state_dict(dict(initial_weights(architecture, seed=0)))
    return model.blocks[0].attention, model


def given(attention: Attention, model: Transformer) -> torch.Tensor:
    with torch.no_grad():
        return attention(X_BTD, model.cos_TK, model.sin_TK)


@pytest.mark.parametrize("shared", [2, None])
def test_shared_keys_are_those_of_full_attention_with_equal_rows(shared):
    few, model = part({"queries_per_key": shared})
    full, _ = part()
    times = shared or 4
    for name in ("query", "key", "value", "out"):
        weight = getattr(few, name).weight.data
        if name in ("key", "value"):
            weight = weight.view(4 // times, 6, 24).repeat_interleave(times, 0).reshape(24, 24)
        getattr(full, name).weight.data = weight
    torch.testing.assert_close(given(few, model), given(full, model))


@pytest.mark.parametrize("window", [None, 3])
def test_alibi_lowers_products_by_the_distance(window):
    attention, model = part({"positions": "alibi", "window": window}, qk_norm=False)
    with torch.no_grad():
        q, k, v = (
            getattr(attention, name)(X_BTD).view(2, 10, 4, 6) for name in ("query", "key", "value")
        )
        y = torch.zeros(2, 10, 4, 6)
        for head in range(4):
            for t in range(10):
                first = 0 if window is None else max(0, t - window + 1)
                scores = torch.einsum("bk,bsk->bs", q[:, t, head], k[:, first : t + 1, head])
                scores = scores / math.sqrt(6)
                scores -= 2 ** (-2 * (head + 1)) * (t - torch.arange(first, t + 1))
                weights = scores.softmax(-1)
                y[:, t, head] = torch.einsum("bs,bsk->bk", weights, v[:, first : t + 1, head])
        expected = attention.out(y.reshape(2, 10, 24))
    torch.testing.assert_close(given(attention, model), expected)


def test_slopes_are_those_of_the_authors_table():
    """Of 8 heads the halves; of 12 those of 8 and every second of 16."""
    assert alibi_slopes(8).tolist() == [2.0**-i for i in range(1, 9)]
    assert alibi_slopes(12).tolist() == pytest.approx(
        [2.0**-i for i in range(1, 9)] + [2 ** (-0.5 * i) for i in (1, 3, 5, 7)]
    )


def test_without_positions_only_order_by_the_mask_is_left():
    """The last token sees a set: any order of those before it gives the same."""
    attention, model = part({"positions": "none"})
    last = given(attention, model)[:, -1]
    shuffled = X_BTD[:, [3, 1, 0, 2, 4, 8, 7, 6, 5, 9]]
    with torch.no_grad():
        again = attention(shuffled, model.cos_TK, model.sin_TK)[:, -1]
        rotary, of = part()
        torch.testing.assert_close(last, again)
        assert not torch.allclose(
            given(rotary, of)[:, -1], rotary(shuffled, of.cos_TK, of.sin_TK)[:, -1]
        )
