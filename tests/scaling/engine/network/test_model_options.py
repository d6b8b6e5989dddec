"""Every value of every option of the model: what must hold of any network that we train."""

from __future__ import annotations

import dataclasses
import itertools
import math

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode

from scalinglab.scaling.config import ExecutionConfig
from scalinglab.scaling.engine.network.grouped import GROUPED_FLOPS, has_grouped_product
from scalinglab.scaling.engine.network.initialization import initial_weights
from scalinglab.scaling.engine.network.transformer import Transformer
from scalinglab.scaling.engine.steps.engine import Member
from scalinglab.scaling.engine.steps.engines import ENGINES
from scalinglab.scaling.engine.trainer.loop import Training
from scalinglab.scaling.model.architecture import (
    ACTIVATIONS,
    DECAY_RULES,
    EMBEDDING_SCALES,
    INITS,
    NORM_SCALES,
    PARAMETRIZATIONS,
    Architecture,
    NetworkOptions,
)
from scalinglab.scaling.model.counts import count_role, parameter_counts, tensor_sizes
from scalinglab.scaling.model.dial import architecture_of
from scalinglab.scaling.model.feed_forwards.experts import RoutedExperts
from scalinglab.scaling.model.flops import flop_parts
from scalinglab.scaling.model.options import ModelConfig
from scalinglab.scaling.model.part import LINEARS, NORMS, RESIDUALS, SLOTS
from scalinglab.scaling.model.placements import PLACEMENTS
from scalinglab.scaling.optimizers.adamw import AdamWConfig
from scalinglab.scaling.read_options import from_dict
from scalinglab.scaling.records.claim import Claim

SMALL = {"depth": 2, "width": 24, "heads": 2, "context": 12}
BASE = {"base_width": 12}
COMPLETEP = {"parametrization": "completep", **BASE, "base_depth": 1}


def _values(key: str, values: tuple[str, ...]) -> list[dict]:
    """Each value but the default, with the keys that it needs."""
    needs = {"mix": {"post_fraction": 0.5}, "hybrid": {"bias": True}}
    default = getattr(ModelConfig(), key)
    return [{key: value, **needs.get(value, {})} for value in values if value != default]


MOES = [
    {},
    {"top_k": 1, "shared": 1, "granularity": 4, "capacity": 1.0, "router_z_loss": 1e-3},
    {"balance": "bias", "capacity": None},
    {"capacity": None, "dispatch": "sorted"},
    {"gates": "sigmoid", "balance": "bias"},
    {"gates": "sigmoid", "top_k": 1, "capacity": None},
]
CHOOSING = [
    {"shared": 1, "granularity": 4, "capacity": 1.0, "router_z_loss": 1e-3},
    {"capacity": None, "top_k": 1},
]

CASES = [
    {},
    *_values("activation", ACTIVATIONS),
    *_values("norm", tuple(NORMS)),
    *_values("linear", tuple(LINEARS)),
    *_values("residual", tuple(RESIDUALS)),
    {"linear": {"name": "low_rank", "within": "mixer"}, "parametrization": "mup", **BASE},
    {"linear": {"name": "monarch", "blocks": 2}, "activation": "swiglu", "bias": True},
    {
        "residual": {"name": "layer_scale", "start": 1.0, "of": "branch"},
        "placement": "deepnorm",
        "linear": {"name": "monarch", "blocks": 3, "within": "feed_forward"},
        "mixer": {"queries_per_key": 2},
    },
    {"residual": {"name": "hyper", "streams": 3, "dynamic": False}, "placement": "deepnorm"},
    {"residual": {"name": "hyper", "streams": 2}, "parametrization": "mup", **BASE},
    *_values("placement", tuple(PLACEMENTS)),
    *_values("norm_scale", NORM_SCALES),
    *_values("embedding_scale", EMBEDDING_SCALES),
    *_values("init", INITS),
    *({"parametrization": name, **BASE} for name in PARAMETRIZATIONS[1:] if name != "completep"),
    COMPLETEP,
    *({"parametrization": "mup", **BASE, "decay_rule": rule} for rule in DECAY_RULES[1:]),
    {"qk_norm": False},
    {"bias": True},
    {"logit_softcap": 5.0},
    {"tied_head": True, "init": "small", "embedding_scale": "sqrt_width"},
    {"norm": "layernorm", "placement": "normformer", "bias": True, "activation": "swiglu"},
    {"norm": "layernorm", "placement": "mix", "post_fraction": 0.5, "tied_head": True},
    {"placement": "peri", "embedding_scale": "norm", **COMPLETEP},
    *({"feed_forward": {"name": "moe", "experts": 4, **keys}} for keys in MOES),
    {"feed_forward": {"name": "moe"}, "parametrization": "mup", **BASE},
    *({"feed_forward": {"name": "expert_choice", "experts": 4, **keys}} for keys in CHOOSING),
    {"feed_forward": {"name": "expert_choice"}, "parametrization": "mup", **BASE},
    {"feed_forward": {"name": "low_rank"}},
    {"mixer": {"queries_per_key": 2}, "bias": True, "norm": "layernorm", "placement": "normformer"},
    {"mixer": {"queries_per_key": None, "positions": "none"}, "parametrization": "mup", **BASE},
    {"mixer": {"positions": "alibi"}, "heads": 3},
    {"mixer": {"window": 4}},
    {"mixer": {"name": "gated_linear", "chunk": 5}},
    {"mixer": {"name": "differential"}, "linear": "low_rank"},
    {"mixer": {"name": "differential", "start": 0.5}, "parametrization": "mup", **BASE},
    {"mixer": {"name": "gated_linear"}, "parametrization": "mup", **BASE, "placement": "sub_ln"},
    {"loops": 3, "mixer": {"window": 2}, "feed_forward": {"name": "moe", "experts": 3}},
    {"loops": 2, "placement": "deepnorm"},
    {"dropout": 0.25, "loops": 2, "feed_forward": {"name": "moe", "experts": 3}},
    {"mixer": {"window": 3, "positions": "alibi", "queries_per_key": 2}, "placement": "hybrid"},
]


def test_the_cases_have_every_value_of_every_option():
    named = {f.name: f.metadata.get("among") for f in dataclasses.fields(NetworkOptions)}
    for key, allowed in named.items():
        if allowed is not None:
            assert {case.get(key, getattr(ModelConfig(), key)) for case in CASES} == set(allowed)


def test_the_cases_have_every_shipped_part():
    for slot, kind in SLOTS.items():
        filled_by = [case.get(slot, getattr(ModelConfig(), slot)) for case in CASES]
        names = {
            by if isinstance(by, str) else getattr(by, "name", None) or by.get("name", kind.name)
            for by in filled_by
        }
        assert names >= {name for name in kind.choices if kind.choices.is_shipped(name)}


def described(case: dict) -> str:
    texts = []
    for key, value in case.items():
        if isinstance(value, dict):
            key = "-".join(f"{k}={v}" for k, v in value.items())
        texts.append(value if isinstance(value, str) else key)
    return "-".join(texts) or "default"


@pytest.fixture(params=CASES, ids=described)
def case(request) -> dict:
    return request.param


@pytest.fixture
def architecture(case) -> Architecture:
    return architecture_of(from_dict(ModelConfig, SMALL | case), vocab=14)


@pytest.fixture
def model(architecture) -> Transformer:
    model = Transformer(architecture)
    model.load_state_dict(dict(initial_weights(architecture, seed=0)))
    return model


# ---------------------------------------------------------------------- counts


def test_sizes_are_those_of_the_module_in_its_order(architecture):
    with torch.device("meta"):
        found = {n: tuple(p.shape) for n, p in Transformer(architecture).named_parameters()}
    assert list(tensor_sizes(architecture).items()) == list(found.items())


def test_counts_are_sums_over_the_modules_parameters(architecture):
    with torch.device("meta"):
        parameters = dict(Transformer(architecture).named_parameters())
    counts = parameter_counts(architecture)
    assert counts["n_total"] == sum(p.numel() for p in parameters.values())
    matrices = [p for n, p in parameters.items() if n.startswith("blocks") and p.dim() > 1]
    assert counts["n_block"] == sum(p.numel() for p in matrices)
    head = architecture.shape.vocab * architecture.shape.width
    assert counts["n_matmul"] == counts["n_block"] + head
    again = -architecture.residual_part.idle_weights(architecture) * architecture.shape.depth
    if architecture.feed_forward.name == "mlp":
        assert counts["n_active"] == architecture.loops * (counts["n_block"] + again) + head
    vectors = sum(p.numel() for p in parameters.values() if p.dim() == 1)
    assert counts["gain"] + counts["bias"] == vectors
    assert all(count_role(n) in counts for n in parameters)


def test_flops_are_what_torch_counts(architecture, model):
    has_grouped_product("cpu", torch.float32)  # which is tried once a process, and not counted
    tokens = torch.randint(14, (3, 13))
    counter = FlopCounterMode(display=False, custom_mapping=GROUPED_FLOPS)
    with counter, sdpa_kernel(SDPBackend.MATH):
        logits = model(tokens[:, :-1])
        F.cross_entropy(logits.flatten(0, 1), tokens[:, 1:].flatten()).backward()
    parts = flop_parts(architecture)
    if (
        isinstance(architecture.feed_forward, RoutedExperts) and not architecture.alone
    ):  # sends tokens, which is no part: tests of its own
        assert counter.get_total_flops() > 36 * (parts["matmul"] + parts["attention_full"])
        return
    assert counter.get_total_flops() == 36 * (parts["matmul"] + parts["attention_full"])


def test_swiglu_of_two_thirds_has_the_default_blocks_parameters():
    plain, gated = (
        architecture_of(ModelConfig(**SMALL, activation=a), vocab=14) for a in ("relu2", "swiglu")
    )
    blocks = {parameter_counts(a)["n_block"] for a in (plain, gated)}
    assert blocks == {12 * 2 * 24**2}


# ---------------------------------------------------------------------- the function


def test_a_logit_depends_on_all_earlier_tokens_and_on_no_later_one(architecture, model):
    """Gradients with respect to the embedded tokens are exactly zero after a position.

    And before what windows, one upon another, let through.
    """
    seen = {}
    model.embedding.register_forward_hook(lambda _m, _i, out: seen.setdefault("x", out))
    logits = model(torch.arange(12)[None])[0]
    weights = torch.randn(14, generator=torch.Generator().manual_seed(0))
    window = getattr(architecture.mixer, "window", None) or 12
    reach = architecture.passes * (window - 1)
    for t in range(12):
        first = max(0, t - reach)
        (gradient,) = torch.autograd.grad(logits[t] @ weights, seen["x"], retain_graph=True)
        reached = gradient[0].abs().sum(dim=1)
        assert torch.all(reached[first : t + 1] > 0)
        assert not reached[:first].any() and not reached[t + 1 :].any()


def test_every_parameter_has_a_gradient(model):
    """A little beside where they begin: what is multiplied with a zero there has none."""
    generator = torch.Generator().manual_seed(0)
    for parameter in model.parameters():
        parameter.data += 0.01 * torch.randn(parameter.shape, generator=generator)
    tokens = torch.randint(14, (4, 13))
    x, penalty = model.stream(tokens[:, :-1])
    loss = F.cross_entropy(model.logits(x).flatten(0, 1), tokens[:, 1:].flatten())
    (loss if penalty is None else loss + penalty).backward()
    without = {name for name, p in model.named_parameters() if not p.grad.any()}
    assert without == set()


def test_a_fresh_model_predicts_about_evenly(model):
    """Least so without any norm: 1.02 nats a token above even."""
    logits = model(torch.randint(14, (256, 12)))
    loss = F.cross_entropy(logits.flatten(0, 1), torch.randint(14, (256 * 12,)))
    assert float(loss.detach()) == pytest.approx(math.log(14), abs=1.1)


def test_initial_weights_are_pure_functions_of_their_seed(architecture):
    one, same, other = (dict(initial_weights(architecture, seed)) for seed in (0, 0, 1))
    assert all(torch.equal(one[n], same[n]) for n in one)
    drawn = [n for n in one if one[n].dim() > 1 and one[n].any()]
    assert drawn and all(not torch.equal(one[n], other[n]) for n in drawn)


# ---------------------------------------------------------------------- training

ADAMW = AdamWConfig(beta1=0.9, beta2=0.95, epsilon=1e-8, weight_decay=0.1, clip=1.0)


def test_a_pack_trains_its_members_as_they_train_alone(architecture):
    members = [Member(0, ADAMW), Member(1, dataclasses.replace(ADAMW, weight_decay=0.5))]
    tokens = np.random.default_rng(0).integers(14, size=(2, 2, 4, 13))
    lr = np.full((2, 2), 0.003)
    backward = torch.Tensor.backward
    if architecture.alone:
        return
    pack = ENGINES["eager"](architecture, members).train(tokens, lr, backward)
    for i, member in enumerate(members):
        engine = ENGINES["eager"](architecture, [member])
        solo = engine.train(tokens[:, i : i + 1], lr[:, :1], backward)
        np.testing.assert_allclose(pack.loss[:, i], solo.loss[:, 0], rtol=2e-5)


def trained(folder, chunks: int | None = None) -> str:
    """Train a run through Training, ended after some chunks if a number is given."""
    asked = itertools.count(1)
    claim = Claim.acquire(folder, 60.0)
    training = Training(
        [claim],
        {},
        ExecutionConfig(checkpoint_seconds=1000.0),
        lambda: chunks is not None and next(asked) >= chunks,
    )
    while not training.over:
        chunk = training.next_chunk()
        training.absorb(training.engine.train(chunk.tokens, chunk.lr, torch.Tensor.backward), 0.1)
    return training.close()


def test_a_dozen_steps_teach_it_and_a_stop_leaves_no_trace(case, make_run, make_apart, curve_of):
    changes = {f"model.{k}": v for k, v in (SMALL | case).items()} | {
        "tokens": 12 * 48,
        "schedule.kind": "constant",
        "schedule.warmup_tokens": 96,
    }
    folder, alone = make_run(changes), make_apart(changes)
    assert trained(alone) == "done"
    assert trained(folder, chunks=2) == "interrupted"
    assert trained(folder) == "done"
    assert folder.record().started_at_step > 0
    assert curve_of(folder) == curve_of(alone)
    losses = [float(line.split(",")[3]) for line in curve_of(alone).splitlines()[1:]]
    assert len(losses) == 12 and np.mean(losses[-4:]) < losses[0] - 0.05
