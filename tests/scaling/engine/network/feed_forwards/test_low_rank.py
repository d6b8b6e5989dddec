"""Low-rank matrices: counted, equal to their products, trained, and no other file changed."""

from __future__ import annotations

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch.utils.flop_counter import FlopCounterMode

from scalinglab.scaling.engine.network.initialization import initial_weights
from scalinglab.scaling.engine.network.transformer import Transformer
from scalinglab.scaling.engine.steps.eager import EagerEngine
from scalinglab.scaling.engine.steps.engine import Member
from scalinglab.scaling.errors import ConfigError
from scalinglab.scaling.model.counts import parameter_counts, tensor_sizes
from scalinglab.scaling.model.dial import architecture_of
from scalinglab.scaling.model.flops import flop_parts
from scalinglab.scaling.model.options import ModelConfig
from scalinglab.scaling.optimizers.adamw import AdamWConfig
from scalinglab.scaling.read_options import from_dict


def network(rank=0.25, **model):
    part = {"name": "low_rank", "rank": rank}
    keys = {"depth": 2, "width": 16, "heads": 2, "context": 12, "feed_forward": part, **model}
    return architecture_of(from_dict(ModelConfig, keys), vocab=11)


@pytest.mark.parametrize(("activation", "matrices"), [("relu2", 2), ("swiglu", 3)])
def test_counts_and_flops_are_those_of_the_factors(activation, matrices):
    architecture = network(activation=activation, mlp_width=48)
    model = Transformer(architecture)
    found = {n: tuple(p.shape) for n, p in model.named_parameters()}
    assert list(tensor_sizes(architecture).items()) == list(found.items())
    assert parameter_counts(architecture)["mlp"] == 2 * matrices * 4 * (16 + 48)
    with FlopCounterMode(display=False) as counter:
        model.blocks[0].feed_forward(torch.randn(1, 12, 16, requires_grad=True)).sum().backward()
    assert counter.get_total_flops() == 12 * 6 * matrices * 4 * (16 + 48)
    assert flop_parts(architecture)["block"] == 6 * parameter_counts(architecture)["n_block"]


def test_it_is_the_dense_one_with_the_products_of_its_factors():
    model = Transformer(network())
    model.load_state_dict(dict(initial_weights(network(), seed=0)))
    part, x = model.blocks[0].feed_forward, torch.randn(3, 16)
    up, down = part.up.weight @ part.up_in.weight, part.down.weight @ part.down_in.weight
    torch.testing.assert_close(part(x), F.relu(x @ up.T).square() @ down.T, rtol=1e-4, atol=1e-5)


def test_a_pack_trains_its_members_as_they_train_alone():
    data = np.random.default_rng(0).integers(11, size=(20, 2, 4, 13))
    lr, backward = np.full((20, 2), 0.01), torch.Tensor.backward
    members = [Member(seed, AdamWConfig()) for seed in (0, 1)]
    pack = EagerEngine(network(), members).train(data, lr, backward)
    for i, member in enumerate(members):
        alone = EagerEngine(network(), [member]).train(data[:, i : i + 1], lr[:, :1], backward)
        np.testing.assert_allclose(pack.loss[:, i], alone.loss[:, 0], rtol=1e-4)
    assert pack.loss[-4:].mean() < pack.loss[0].mean()


@pytest.mark.parametrize("stop", [8, 13])
def test_a_stop_leaves_no_trace(stop):
    data = np.random.default_rng(0).integers(11, size=(20, 1, 4, 13))
    lr, backward = np.full((20, 1), 0.01), torch.Tensor.backward
    whole = EagerEngine(network(), [Member(0, AdamWConfig())])
    whole.train(data, lr, backward)
    first, second = (EagerEngine(network(), [Member(s, AdamWConfig())]) for s in (0, 9))
    first.train(data[:stop], lr[:stop], backward)
    second.load(0, first.state(0), stop)
    second.train(data[stop:], lr[stop:], backward)
    assert torch.equal(second.module.weights, whole.module.weights)


@pytest.mark.parametrize(
    ("rank", "model", "message"),
    [
        (0.3, {}, r"rank = 0\.3 of model\.width = 16 is 4\.8; allowed"),
        (0.5, {"bias": True}, "its factors have none"),
        (0.5, {"placement": "normformer"}, "'normformer' clashes with model.feed_forward.name"),
        (0.5, {"init": "lsuv"}, "'lsuv' clashes with model.feed_forward.name = 'low_rank'"),
        (1.5, {}, "rank = 1.5: allowed is above 0, up to 1"),
    ],
)
def test_what_does_not_go_together_is_refused(rank, model, message):
    with pytest.raises(ConfigError, match=message):
        network(rank, **model)
