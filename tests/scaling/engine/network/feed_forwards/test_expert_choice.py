"""Experts take what they score highest among the tokens so far, and nothing of what comes later."""

from __future__ import annotations

import logging
from functools import partial

import numpy as np
import pytest
import torch

from scalinglab.scaling.engine.network.feed_forwards.expert_choice import TIE, ExpertChoice
from scalinglab.scaling.engine.steps.captured import CapturedEngine
from scalinglab.scaling.engine.steps.eager import EagerEngine
from scalinglab.scaling.engine.steps.engine import Member
from scalinglab.scaling.errors import ConfigError
from scalinglab.scaling.model.counts import parameter_counts
from scalinglab.scaling.optimizers.adamw import AdamWConfig
from scalinglab.scaling.run.step_options import StepOptions
from tests.scaling.engine.network.routed import network_of, part, tokens

ADAMW = AdamWConfig()


network = partial(network_of, "expert_choice")


def by_a_loop(own: ExpertChoice, x_TD: torch.Tensor) -> tuple[torch.Tensor, list[int]]:
    """One token after another; each expert looks at the scores that it has seen. And their loads."""
    description, out = own.description, torch.zeros_like(x_TD)
    seen, taken = [[] for _ in range(description.experts)], [0] * description.experts
    for t, x_D in enumerate(x_TD):
        scores = (own.router.weight @ x_D).softmax(0)
        for e, score in enumerate(scores):
            wanted = int(description.top_k / description.experts * (t + 1) + 0.5)
            ahead = sum(bool(other >= score * (1 - TIE)) for other in seen[e])
            seen[e].append(score)
            if ahead >= wanted:
                continue
            taken[e] += 1
            if taken[e] <= own.places:
                hidden = own.experts.activation(own.experts.up.weight[e] @ x_D)
                out[t] += score * (own.experts.down.weight[e] @ hidden)
        if own.shared is not None:
            out[t] += own.shared(x_D)
    return out, taken


@pytest.mark.parametrize(
    "options", [{}, {"capacity": None, "top_k": 1}, {"capacity": 0.75, "shared": 2, "top_k": 3}]
)
def test_it_is_what_a_loop_computes(options):
    own, x_BTD = part(network(options)), tokens(3, 12, 16)
    with torch.no_grad():
        found = own(x_BTD)
        loops = [by_a_loop(own, x_TD) for x_TD in x_BTD]
        told = own.tell(x_BTD)
    torch.testing.assert_close(found, torch.stack([y for y, _ in loops]))
    loads = np.array([taken for _, taken in loops])
    kept = np.minimum(loads, own.places)
    assert float(told["router_dropped"]) == pytest.approx(1 - kept.sum() / loads.sum(), abs=1e-6)
    assert float(told["router_experts"]) == pytest.approx(kept.sum() / 36)
    even = 36 * own.description.top_k / 4
    assert float(told["router_max_load"]) == pytest.approx(loads.sum(0).max() / even)


def test_no_later_token_changes_what_an_expert_takes():
    own, x_BTD = part(network()), tokens(4, 12, 16)
    changed = x_BTD.clone()
    changed[:, 7:] = 3 * tokens(4, 5, 16, seed=1)
    with torch.no_grad():
        whole, other, alone = own(x_BTD), own(changed), own(x_BTD[:, :7])
    assert torch.equal(whole[:, :7], other[:, :7])
    torch.testing.assert_close(whole[:, :7], alone)
    assert not torch.equal(whole[:, 7:], other[:, 7:])


@pytest.mark.parametrize("top_k", [1, 2, 5])
def test_a_token_has_top_k_experts_on_average(top_k):
    """Of tokens without an order, whatever the router prefers; some have none, others many."""
    own = part(network({"experts": 8, "top_k": top_k}, context=256))
    own.router.weight.data[0] *= 5
    _, taken_BTE = own.choose(tokens(64, 256, 16))
    of_expert = taken_BTE.mean((0, 1))
    torch.testing.assert_close(of_expert, torch.full((8,), top_k / 8), rtol=0.06, atol=0.0)
    assert taken_BTE.sum(-1).var() > 0


def test_a_token_pays_for_top_k_experts_in_the_counts():
    counts = parameter_counts(network({"experts": 8, "top_k": 2, "granularity": 2, "shared": 1}))
    expert = 2 * 16 * 32
    assert counts["n_block"] == 4 * 16 * 16 + 8 * 16 + 9 * expert
    assert counts["n_active"] == 4 * 16 * 16 + 8 * 16 + 3 * expert + 16 * 11


@pytest.mark.parametrize(
    ("options", "model", "message"),
    [
        ({"top_k": 5}, {}, "top_k = 5 of model.feed_forward.experts = 4"),
        ({"granularity": 5}, {}, "granularity = 5 does not divide the feed-forward's width 64"),
        ({}, {"bias": True}, "model.bias = True clashes with model.feed_forward.name = 'expert_c"),
        ({"balance": "loss"}, {}, "name = 'expert_choice' does not use it; it uses capacity"),
    ],
)
def test_what_does_not_go_together_is_refused(options, model, message):
    with pytest.raises(ConfigError) as refusal:
        network(options, **model)
    assert message in str(refusal.value)


@pytest.mark.parametrize("k", [1, 2])
def test_its_steps_can_be_recorded(taped, caplog, k):
    data = np.random.default_rng(0).integers(11, size=(4, k, 4, 13))
    lr, members = np.full((4, k), 0.01), [Member(seed, ADAMW) for seed in range(k)]
    expected = EagerEngine(network(), members).train(data, lr, torch.Tensor.backward)
    with caplog.at_level(logging.WARNING):
        found = CapturedEngine(network(), members, "cpu").train(data, lr, torch.Tensor.backward)
    assert not caplog.records
    np.testing.assert_allclose(found.loss, expected.loss, rtol=1e-6)


def test_a_pack_in_bfloat16_is_its_members():
    data = np.random.default_rng(0).integers(11, size=(4, 2, 4, 13))
    options, lr = StepOptions(precision="bf16"), np.full((4, 2), 0.003)
    both = [Member(0, ADAMW), Member(1, ADAMW)]
    pack = EagerEngine(network(), both, options=options).train(data, lr, torch.Tensor.backward)
    for i, member in enumerate(both):
        solo = EagerEngine(network(), [member], options=options)
        alone = solo.train(data[:, i : i + 1], lr[:, :1], torch.Tensor.backward)
        np.testing.assert_allclose(pack.loss[:, i], alone.loss[:, 0], rtol=2e-2)


def test_what_the_router_did_is_in_the_record(make_run, train_run):
    folder = make_run({"model.feed_forward": {"name": "expert_choice", "experts": 4}})
    assert train_run(folder) == "done"
    columns = folder.record().columns
    assert columns["router_experts"] == pytest.approx(2, abs=0.5)
    assert 0 <= columns["router_skipped"] < 1 <= columns["router_max_load"]
