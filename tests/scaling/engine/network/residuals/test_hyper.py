"""Streams are read, mixed and written as the paper's equations say, and begin as one."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F

from scalinglab.scaling.engine.network.initialization import initial_weights
from scalinglab.scaling.engine.network.transformer import Transformer
from scalinglab.scaling.errors import ConfigError
from scalinglab.scaling.model.counts import parameter_counts
from scalinglab.scaling.model.dial import architecture_of
from scalinglab.scaling.model.options import ModelConfig
from scalinglab.scaling.read_options import from_dict

SHAPE = {"depth": 3, "width": 16, "heads": 2, "context": 8}
TOKENS = torch.arange(8)[None]


def built(**model) -> Transformer:
    architecture = architecture_of(from_dict(ModelConfig, SHAPE | model), vocab=9)
    model = Transformer(architecture)
    model.load_state_dict(dict(initial_weights(architecture, seed=0)))
    return model


@pytest.mark.parametrize("dynamic", [True, False])
@pytest.mark.parametrize("model", [{}, {"norm": "none"}, {"placement": "deepnorm"}])
def test_it_begins_as_the_plain_sum(dynamic, model):
    plain = built(**model)
    hyper = built(residual={"name": "hyper", "dynamic": dynamic}, **model)
    with torch.no_grad():
        torch.testing.assert_close(hyper(TOKENS), plain(TOKENS), rtol=1e-4, atol=1e-5)
    first = [block.attention_residual.first.argmax().item() for block in hyper.blocks]
    second = [block.mlp_residual.first.argmax().item() for block in hyper.blocks]
    assert (first, second) == ([0, 2, 0], [1, 3, 1])


def test_a_branch_is_the_papers_equations():
    """Equations 2 to 4 and 10 to 13, token by token; A_m, A_r and B as they are named there."""
    part = built(residual={"name": "hyper", "streams": 3}).blocks[1].mlp_residual
    generator = torch.Generator().manual_seed(0)
    for parameter in part.parameters():
        parameter.data = torch.randn(parameter.shape, generator=generator)
    H = torch.randn(3, 16, generator=generator)
    normed = F.rms_norm(H, (16,), eps=1e-6)
    W_r, W_m, W_b = part.router.weight.split([3, 1, 1])
    of_alpha, of_beta = part.scale_gain
    A_m = torch.eye(3)[3 % 3] + part.read_bias + of_alpha * torch.tanh(normed @ W_m[0])
    A_r = torch.eye(3) + part.mix_bias.view(3, 3) + of_alpha * torch.tanh(normed @ W_r.T)
    B = part.write_gain + of_beta * torch.tanh(normed @ W_b[0])
    read = A_m @ H
    branch = torch.sin(read)
    torch.testing.assert_close(part.read(H[None, None])[0, 0], read)
    after = B[:, None] * branch + A_r.T @ H
    torch.testing.assert_close(part(H[None, None], branch[None, None])[0, 0], after)
    torch.testing.assert_close(part.end(H[None, None])[0, 0], H.mean(0))


def test_every_stream_passes_through_the_router():
    network = architecture_of(from_dict(ModelConfig, SHAPE | {"residual": "hyper"}), vocab=9)
    plain = parameter_counts(architecture_of(from_dict(ModelConfig, SHAPE), vocab=9))
    counts = parameter_counts(network)
    router = 3 * 2 * (4 + 2) * 16
    assert counts["n_block"] - plain["n_block"] == router
    assert counts["n_active"] - plain["n_active"] == 4 * router
    assert counts["n_total"] - plain["n_total"] == router + 3 * 2 * (16 + 4 + 4 + 2)


def test_a_placement_whose_second_branch_reads_no_stream_is_refused():
    with pytest.raises(ConfigError, match="placement = 'parallel': its second branch"):
        built(residual="hyper", placement="parallel")
