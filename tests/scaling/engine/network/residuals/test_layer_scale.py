"""Gains of branches start where they are said to, and multiply what is added."""

from __future__ import annotations

import pytest
import torch

from scalinglab.scaling.engine.network.initialization import initial_weights
from scalinglab.scaling.engine.network.transformer import Transformer
from scalinglab.scaling.model.dial import architecture_of
from scalinglab.scaling.model.options import ModelConfig
from scalinglab.scaling.model.parametrization import role_of
from scalinglab.scaling.read_options import from_dict

SHAPE = {"depth": 2, "width": 24, "heads": 2, "context": 8}
TOKENS = torch.arange(8)[None]


def weights(**residual) -> tuple[Transformer, dict[str, torch.Tensor]]:
    keys = SHAPE | ({"residual": {"name": "layer_scale", **residual}} if residual else {})
    architecture = architecture_of(from_dict(ModelConfig, keys), vocab=9)
    return Transformer(architecture), dict(initial_weights(architecture, seed=0))


@pytest.mark.parametrize(("of", "size"), [("channel", 24), ("branch", 1)])
def test_gains_start_at_their_value(of, size):
    _, drawn = weights(of=of, start=0.25)
    gains = {name: w for name, w in drawn.items() if "residual" in name}
    assert len(gains) == 4
    for name, gain in gains.items():
        assert torch.equal(gain, torch.full((size,), 0.25))
        assert role_of(name, tuple(gain.shape)) == "gain"


def test_gains_of_one_are_the_plain_sum_and_of_zero_no_branch():
    plain, drawn = weights()
    plain.load_state_dict(drawn)
    ones, of_ones = weights(start=1.0)
    ones.load_state_dict(of_ones)
    with torch.no_grad():
        torch.testing.assert_close(ones(TOKENS), plain(TOKENS))
        zeros, of_zeros = weights(start=0.0, of="branch")
        zeros.load_state_dict(of_zeros)
        torch.testing.assert_close(zeros.hidden(TOKENS), zeros.embedding(TOKENS))
