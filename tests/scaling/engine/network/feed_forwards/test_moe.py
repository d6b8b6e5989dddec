"""Experts of fixed capacity compute what a loop over the tokens does."""

from __future__ import annotations

import logging
from functools import partial

import numpy as np
import pytest
import torch
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode

from scalinglab.scaling.engine.network.feed_forwards.moe import MoE
from scalinglab.scaling.engine.network.grouped import GROUPED_FLOPS
from scalinglab.scaling.engine.network.transformer import Transformer
from scalinglab.scaling.engine.steps.captured import CapturedEngine
from scalinglab.scaling.engine.steps.eager import EagerEngine
from scalinglab.scaling.engine.steps.engine import Member
from scalinglab.scaling.errors import ConfigError
from scalinglab.scaling.model.flops import flop_parts
from scalinglab.scaling.optimizers.adamw import AdamWConfig
from scalinglab.scaling.optimizers.optimizer import OPTIMIZERS
from scalinglab.scaling.run.part_checks import check_engine_of_parts
from scalinglab.scaling.run.step_options import StepOptions
from tests.scaling.engine.network.routed import network_of, part, tokens

ADAMW = AdamWConfig()
SORTED = {"capacity": None, "dispatch": "sorted"}


network = partial(network_of, "moe")


def by_a_loop(moe: MoE, x_TD: torch.Tensor) -> tuple[torch.Tensor, int]:
    """One token after another, each through the experts that have a place left; and how many had."""
    taken, out, kept = [0] * moe.description.experts, torch.zeros_like(x_TD), 0
    for t, x_D in enumerate(x_TD):
        logits = moe.router.weight @ x_D
        ranked = logits.sigmoid() if moe.description.gates == "sigmoid" else logits
        if moe.balance is not None:
            ranked = ranked + moe.balance.bias
        chosen = ranked.topk(moe.description.top_k).indices.tolist()
        sigmoid = moe.description.gates == "sigmoid"
        weights = (logits.sigmoid() if sigmoid else logits.softmax(0))[chosen]
        if moe.description.top_k > 1:
            weights = weights / weights.sum()
        for e, weight in zip(chosen, weights, strict=True):
            taken[e] += 1
            if taken[e] > moe.places:
                continue
            kept += 1
            hidden = moe.experts.up.weight[e] @ x_D
            if moe.experts.gate is None:
                hidden = moe.experts.activation(hidden)
            else:
                hidden = moe.experts.activation(moe.experts.gate.weight[e] @ x_D) * hidden
            out[t] += weight * (moe.experts.down.weight[e] @ hidden)
        if moe.shared is not None:
            out[t] += moe.shared(x_D)
    return out, kept


@pytest.mark.parametrize(
    ("options", "model"),
    [
        ({}, {}),
        ({"capacity": 0.5}, {"activation": "swiglu", "mlp_width": 32}),
        ({"top_k": 1, "shared": 2, "granularity": 2, "capacity": 1.0}, {}),
        ({"capacity": None, "top_k": 3}, {"activation": "geglu", "mlp_width": 32}),
        ({"balance": "bias"}, {}),
        (SORTED, {}),
        ({**SORTED, "top_k": 1, "shared": 1}, {"activation": "swiglu", "mlp_width": 32}),
        ({"gates": "sigmoid", "top_k": 3}, {}),
        ({"gates": "sigmoid", "balance": "bias", "shared": 1}, {}),
        ({**SORTED, "gates": "sigmoid", "top_k": 1}, {}),
    ],
)
def test_it_is_what_a_loop_computes(options, model):
    moe, x_BTD = part(network(options, **model)), tokens(3, 12, 16)
    if moe.balance is not None:
        moe.balance.bias.data = tokens(4, seed=1)
    with torch.no_grad():
        found, _ = moe(x_BTD)
        loops = [by_a_loop(moe, x_TD) for x_TD in x_BTD]
        told = moe.tell(x_BTD)
    torch.testing.assert_close(found, torch.stack([y for y, _ in loops]))
    kept = sum(n for _, n in loops) / (3 * 12 * moe.description.top_k)
    assert float(told["router_dropped"]) == pytest.approx(1 - kept, abs=1e-6)
    assert 1 <= float(told["router_max_load"]) <= 4


def test_a_full_house_costs_what_is_counted():
    """At capacity 1 there are as many places as choices: torch counts the experts' products."""
    architecture = network({"capacity": 1.0}, depth=2)
    model = Transformer(architecture)
    with FlopCounterMode(display=False) as counter:
        model(torch.zeros(5, 12, dtype=torch.long)).sum().backward()
    counts = counter.get_flop_counts()
    counted = sum(sum(of.values()) for name, of in counts.items() if name.endswith(".experts"))
    own = architecture.feed_forward
    assert counted == 6 * 5 * 12 * 2 * own.top_k * own.expert_weights(architecture)


def test_parts_of_a_batch_have_the_gradient_of_the_whole():
    """Each sequence is routed and balanced by itself."""
    for options in ({"router_z_loss": 0.1, "balance_weight": 1.0}, {"balance": "bias"}):
        data = np.random.default_rng(0).integers(11, size=(1, 1, 6, 13))
        gradients = []
        for size in (None, 2):
            engine = EagerEngine(network(options), [Member(0, ADAMW)], micro_batch=size)
            total = torch.zeros_like(engine.module.gradient)
            engine.reduce.finish = lambda gradient, total=total: total.copy_(gradient)
            engine.train(data, np.full((1, 1), 0.01), torch.Tensor.backward)
            gradients.append(total)
        torch.testing.assert_close(gradients[0], gradients[1], rtol=1e-4, atol=1e-6)
        assert gradients[0].abs().sum() > 0


@pytest.mark.parametrize("gates", ["softmax", "sigmoid"])
@pytest.mark.parametrize(("balance", "evens"), [("loss", True), ("bias", True), ("none", False)])
def test_balancing_evens_the_load(balance, evens, gates):
    """A router that sends all to one expert, moved by its penalty alone."""
    moe, x_BTD = part(network({"balance": balance, "gates": gates})), tokens(16, 12, 16)
    x_BTD[..., 0] = 2.0
    moe.router.weight.data[0, 0] = 4.0
    assert float(moe.tell(x_BTD)["router_max_load"]) == 2.0  # half of all choices
    adam = torch.optim.Adam(moe.parameters(), lr=0.05)
    for _ in range(200):
        adam.zero_grad()
        moe.penalty(*moe.choose(x_BTD)).backward() if evens else moe(x_BTD)[0].sum().backward()
        adam.step()
    assert (float(moe.tell(x_BTD)["router_max_load"]) < 1.2) is evens


@pytest.mark.parametrize("name", sorted(set(OPTIMIZERS) - {"normalized"}))
def test_every_optimizer_takes_experts(name):
    engine = EagerEngine(network(), [Member(seed, OPTIMIZERS[name]()) for seed in (0, 1)])
    data = np.random.default_rng(0).integers(11, size=(3, 2, 4, 13))
    before = engine.state(0)["weight/blocks.0.feed_forward.experts.up.weight"]
    result = engine.train(data, np.full((3, 2), 0.01), torch.Tensor.backward)
    moved = engine.state(0)["weight/blocks.0.feed_forward.experts.up.weight"] - before
    assert np.isfinite(result.loss).all() and moved.abs().amax((1, 2)).min() > 0


def test_sorted_tokens_train_as_all_tokens_of_all_experts():
    """And they cost what is counted, no more; an expert that nobody chooses costs nothing."""
    data = np.random.default_rng(0).integers(11, size=(6, 1, 4, 13))
    fixed, by_load = (
        EagerEngine(network({"capacity": None, "dispatch": dispatch}), [Member(0, ADAMW)])
        for dispatch in ("fixed", "sorted")
    )
    losses = [
        engine.train(data, np.full((6, 1), 0.01), torch.Tensor.backward).loss
        for engine in (fixed, by_load)
    ]
    np.testing.assert_allclose(losses[1], losses[0], rtol=1e-5)
    none = part(network(SORTED)).experts.sorted(tokens(5, 16), torch.tensor([2, 0, 3, 0]))
    assert none.shape == (5, 16)
    architecture = network(SORTED, depth=2)
    counter = FlopCounterMode(display=False, custom_mapping=GROUPED_FLOPS)
    with counter, sdpa_kernel(SDPBackend.MATH):
        Transformer(architecture)(torch.zeros(5, 12, dtype=torch.long)).sum().backward()
    parts = flop_parts(architecture)
    assert counter.get_total_flops() == 5 * 12 * (parts["matmul"] + parts["attention_full"])


def test_sorted_tokens_are_refused_beside_what_needs_one_size():
    with pytest.raises(ConfigError, match=r"capacity = 1\.25 does; allowed beside it: .* = null"):
        network({"dispatch": "sorted"})
    with pytest.raises(ConfigError, match=r"execution\.engine = 'captured' clashes .* auto, eager"):
        check_engine_of_parts(network(SORTED), "captured")
    check_engine_of_parts(network(SORTED), "eager")
    assert "how many tokens" in network(SORTED).alone and not network().alone


def test_a_pack_in_bfloat16_is_its_members():
    data = np.random.default_rng(0).integers(11, size=(4, 2, 4, 13))
    options = StepOptions(precision="bf16")
    lr = np.full((4, 2), 0.003)
    both = [Member(0, ADAMW), Member(1, ADAMW)]
    pack = EagerEngine(network(), both, options=options).train(data, lr, torch.Tensor.backward)
    for i, member in enumerate(both):
        solo = EagerEngine(network(), [member], options=options)
        alone = solo.train(data[:, i : i + 1], lr[:, :1], torch.Tensor.backward)
        np.testing.assert_allclose(pack.loss[:, i], alone.loss[:, 0], rtol=2e-2)


@pytest.mark.parametrize("k", [1, 2])
def test_its_steps_can_be_recorded(taped, caplog, k):
    data = np.random.default_rng(0).integers(11, size=(4, k, 4, 13))
    lr, members = np.full((4, k), 0.01), [Member(seed, ADAMW) for seed in range(k)]
    expected = EagerEngine(network(), members).train(data, lr, torch.Tensor.backward)
    with caplog.at_level(logging.WARNING):
        found = CapturedEngine(network(), members, "cpu").train(data, lr, torch.Tensor.backward)
    assert not caplog.records
    np.testing.assert_allclose(found.loss, expected.loss, rtol=1e-6)


def test_what_the_router_did_is_in_the_record(make_run, train_run):
    changes = {
        "model.depth": 2,
        "model.feed_forward": {"name": "moe", "experts": 4, "capacity": 1.0},
    }
    folder = make_run(changes)
    assert train_run(folder) == "done"
    columns = folder.record().columns
    told = {"router_max_load", "router_max_load.0", "router_max_load.1"}
    assert told <= set(columns) and 0 <= columns["router_dropped"] < 1
    mean = (columns["router_max_load.0"] + columns["router_max_load.1"]) / 2
    assert columns["router_max_load"] == pytest.approx(mean)
