"""What a mixture of experts counts, and what it is refused beside."""

from __future__ import annotations

import dataclasses

import pytest

from scalinglab.scaling.errors import ConfigError
from scalinglab.scaling.model.counts import parameter_counts
from scalinglab.scaling.model.dial import architecture_of
from scalinglab.scaling.model.flops import flop_parts
from scalinglab.scaling.model.options import ModelConfig
from scalinglab.scaling.model.parametrization import tensor_rules
from scalinglab.scaling.optimizers.adamw import AdamWConfig
from scalinglab.scaling.optimizers.sgd import SGDConfig
from scalinglab.scaling.read_options import from_dict


def network(options=(), **model):
    moe = {"name": "moe", **dict(options)}
    keys = {"depth": 3, "width": 24, "heads": 2, "context": 16, "feed_forward": moe, **model}
    return architecture_of(from_dict(ModelConfig, keys), vocab=10)


def test_counts_by_hand():
    """Written out for one block, with all that an option adds."""
    options = {"experts": 6, "top_k": 2, "granularity": 4, "shared": 1, "balance": "bias"}
    counts = parameter_counts(network(options, activation="swiglu", mlp_width=64))
    expert = 3 * 24 * 16
    router = 6 * 24
    n_block = 3 * (4 * 24 * 24 + router + (6 + 1) * expert)
    active = 3 * (4 * 24 * 24 + router + (2 + 1) * expert)
    assert counts["n_block"] == n_block
    assert counts["n_matmul"] == n_block + 240
    assert counts["n_active"] == active + 240
    gains = 3 * (24 + 24 + 12 + 12) + 24
    assert counts["n_total"] == n_block + 480 + gains + 3 * 6
    assert flop_parts(network(options, activation="swiglu", mlp_width=64))["block"] == 6 * active


def test_a_dense_network_is_active_as_a_whole():
    counts = parameter_counts(architecture_of(ModelConfig(depth=2, width=32), vocab=10))
    assert counts["n_active"] == counts["n_matmul"]


def test_as_many_narrow_experts_cost_what_the_dense_feed_forward_does_but_for_the_router():
    dense = parameter_counts(architecture_of(ModelConfig(depth=3, width=24, heads=2), vocab=10))
    fine = parameter_counts(network({"experts": 16, "top_k": 4, "granularity": 4}))
    assert fine["n_active"] - dense["n_active"] == 3 * 16 * 24


@pytest.mark.parametrize(
    ("options", "model", "message"),
    [
        ({"top_k": 9}, {}, "top_k = 9 of model.feed_forward.experts = 8: a token passes through 8"),
        ({"granularity": 5}, {}, "granularity = 5 does not divide the feed-forward's width 96"),
        ({}, {"bias": True}, "model.bias = True clashes with model.feed_forward.name = 'moe'"),
        ({}, {"placement": "sub_ln"}, "'sub_ln' clashes with model.feed_forward.name = 'moe'"),
        ({}, {"init": "lsuv"}, "model.init = 'lsuv' clashes with model.feed_forward.name = 'moe'"),
        ({"experts": 0}, {}, "feed_forward.experts = 0: allowed is 1 or more"),
        ({"balance": "bais"}, {}, "did you mean 'bias'"),
        ({"balance": "none", "balance_weight": 0.1}, {}, "balance = 'none' does not use it"),
        ({"expert": 4}, {}, "unknown key 'feed_forward.expert'; did you mean"),
    ],
)
def test_what_does_not_go_together_is_refused(options, model, message):
    with pytest.raises(ConfigError) as said:
        network(options, **model)
    assert message in str(said.value)


def test_biases_need_steps_of_a_size_of_their_own():
    network({"balance": "bias"}).feed_forward.check_optimizer(AdamWConfig())
    with pytest.raises(ConfigError, match=r"balance = 'bias' clashes with optimizer.name = 'sgd'"):
        network({"balance": "bias"}).feed_forward.check_optimizer(SGDConfig())


def test_a_router_follows_the_width_as_a_head_without_a_multiplier():
    """And experts as hidden matrices: both rates go as 1 / m_N, and the experts' number counts not."""
    base = {"parametrization": "mup", "base_width": 24, "base_head_dim": 12}
    small, wide = network({}, **base), network({}, **base | {"width": 96, "heads": 8})
    at_base, rules = (tensor_rules(a, AdamWConfig()) for a in (small, wide))
    router = "blocks.0.feed_forward.router.weight"
    up = "blocks.0.feed_forward.experts.up.weight"
    assert rules[router].role == "router" and rules[up].role == "hidden"
    assert rules[router].lr == rules[up].lr == pytest.approx(1 / 4)
    assert rules[router].init_std == pytest.approx(at_base[router].init_std / 4)
    assert rules[up].init_std == pytest.approx(at_base[up].init_std / 2)
    assert at_base[router].lr == 1 and rules[router].epsilon == 1


def test_science_holds_what_is_not_historic_and_reads_it_back():
    architecture = network({"experts": 4})
    science = architecture.science()
    assert science["mixer"] == {"name": "attention"}
    assert science["feed_forward"]["experts"] == 4
    assert type(architecture).from_science(science) == architecture


def test_a_part_that_is_not_registered_is_known_by_its_name_alone():
    """As a record is read where the file that registers it is gone."""
    science = network().science() | {"feed_forward": {"name": "gone", "radius": 2}}
    architecture = type(network()).from_science(science)
    assert dataclasses.asdict(architecture.feed_forward) == {"name": "gone"}
    with pytest.raises(ValueError, match=r"'gone' is not registered here: extend="):
        parameter_counts(architecture)
