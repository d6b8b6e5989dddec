"""The table by tensor role: sources' exponents, and sp at the base."""

from __future__ import annotations

import dataclasses
import math

import pytest
import torch

from scalinglab.scaling.model import parametrization
from scalinglab.scaling.model.architecture import PARAMETRIZATIONS, Architecture
from scalinglab.scaling.model.parametrization import TensorRule
from scalinglab.scaling.model.shape import Shape
from scalinglab.scaling.optimizers.optimizer import OPTIMIZERS, OptimizerConfig

BASE = Shape(depth=2, width=32, heads=2, mlp_width=128, context=8, vocab=11)
WIDE = dataclasses.replace(BASE, width=128, heads=8, mlp_width=512)
DEEP = dataclasses.replace(BASE, depth=16)
EXAMPLES = {  # a tensor of each kind
    "embedding": "embedding.weight",
    "hidden": "blocks.1.up.weight",
    "block gain": "blocks.1.mlp_norm.gain",
    "final gain": "norm.gain",
    "head": "head.weight",
}


def scaled(name: str, shape: Shape, **options: object) -> Architecture:
    return Architecture(shape, parametrization=name, base_width=32, base_depth=2, **options)


def chosen(optimizer: str) -> OptimizerConfig:
    """An optimizer by name, or as ``muon/match_rms_adamw``."""
    name, _, adjust_lr = optimizer.partition("/")
    return OPTIMIZERS[name](**{"adjust_lr": adjust_lr} if adjust_lr else {})


def tensor_rules(architecture: Architecture, optimizer: str) -> dict[str, TensorRule]:
    return parametrization.tensor_rules(architecture, chosen(optimizer))


def rules(architecture: Architecture, optimizer: str = "adamw") -> dict[str, TensorRule]:
    found = tensor_rules(architecture, optimizer)
    return {kind: found[name] for kind, name in EXAMPLES.items()}


def multipliers(architecture: Architecture, value: str, optimizer: str = "adamw") -> dict:
    return {kind: getattr(r, value) for kind, r in rules(architecture, optimizer).items()}


@pytest.mark.parametrize("name", PARAMETRIZATIONS)
@pytest.mark.parametrize("optimizer", ["adamw", "lion", "sgd"])
def test_at_the_base_every_parametrization_is_the_standard_one(name, optimizer):
    expected = tensor_rules(Architecture(BASE), optimizer)
    architecture = scaled(name, BASE)
    assert tensor_rules(architecture, optimizer) == expected
    forward = ("residual_multiplier", "attention_multiplier", "head_multiplier")
    assert all(getattr(architecture, f) == getattr(Architecture(BASE), f) for f in forward)


def test_the_standard_parametrization_has_one_rate_and_decays_matrices():
    found = tensor_rules(Architecture(WIDE), "soap")
    assert all(rule.lr == rule.epsilon == 1 for rule in found.values())
    decayed = {name for name, rule in found.items() if rule.weight_decay}
    assert decayed == {n for n, r in found.items() if r.role in ("hidden", "head")}
    assert {r.weight_decay for r in found.values()} == {0.0, 1.0}


def test_mup_under_adam_is_table_8_of_tensor_programs_v():
    wide = scaled("mup", WIDE)  # m_N = 4
    assert multipliers(wide, "lr") == {
        "embedding": 1,
        "hidden": 1 / 4,
        "block gain": 1,
        "final gain": 1,
        "head": 1,
    }
    assert multipliers(wide, "weight_decay") == {
        "embedding": 0,
        "hidden": 4,
        "block gain": 0,
        "final gain": 0,
        "head": 1,
    }
    assert set(multipliers(wide, "epsilon").values()) == {1 / 4}
    assert wide.head_multiplier == 1 / 4 and wide.residual_multiplier == 1
    init, base = multipliers(wide, "init_std"), multipliers(Architecture(BASE), "init_std")
    assert init["embedding"] == base["embedding"]
    assert init["head"] == pytest.approx(base["head"])
    assert init["hidden"] == pytest.approx(base["hidden"] / 2)  # variance / m_N


def test_mup_under_sgd_gives_what_meets_a_finite_side_a_rate_that_grows_with_width():
    assert multipliers(scaled("mup", WIDE), "lr", "sgd") == {
        "embedding": 4,
        "hidden": 1,
        "block gain": 4,
        "final gain": 4,
        "head": 4,
    }


def test_a_gain_that_does_not_grow_with_the_width_keeps_its_rate_and_epsilon():
    """Gains of queries and keys are one head's, shared by all heads."""
    options = {"base_head_dim": 16, "placement": "normformer"}
    fixed = tensor_rules(scaled("mup", WIDE, **options), "sgd")  # heads of 16 at 32 and at 128
    wider = dataclasses.replace(WIDE, heads=2)
    grown = tensor_rules(scaled("mup", wider, **options), "sgd")  # 2 heads of 16, then of 64
    gains = ("attention.query_norm.gain", "attention.head_gain", "attention_norm.gain")
    assert [fixed[f"blocks.0.{g}"].lr for g in gains] == [1, 4, 4]
    assert [grown[f"blocks.0.{g}"].lr for g in gains] == [4, 1, 4]
    adam = tensor_rules(scaled("mup", WIDE, **options), "adamw")
    assert [adam[f"blocks.0.{g}"].epsilon for g in gains] == [1, 1 / 4, 1 / 4]


def test_muon_needs_no_width_and_leaves_the_rest_to_adamw():
    wide = scaled("mup", WIDE)
    assert multipliers(wide, "lr", "muon") == dict.fromkeys(EXAMPLES, 1)
    assert rules(wide, "muon")["hidden"].weight_decay == 1
    matched = rules(wide, "muon/match_rms_adamw")["hidden"]  # updates sqrt(width) larger
    assert (matched.lr, matched.weight_decay) == (1 / 2, 2)
    assert rules(wide, "adafactor")["hidden"].lr == 1 / 2
    sgd_like = {k: v for k, v in rules(wide, "muon").items() if k != "hidden"}
    assert sgd_like == {k: v for k, v in rules(wide).items() if k != "hidden"}


@pytest.mark.parametrize(("alpha", "lr"), [(1.0, 1.0), (0.5, 8**-0.5)])
def test_completep_is_table_1_of_its_paper(alpha, lr):
    deep = scaled("completep", DEEP, depth_exponent=alpha)  # m_N = 1, m_L = 8
    assert deep.residual_multiplier == pytest.approx(8**-alpha)
    assert multipliers(deep, "lr") == pytest.approx(
        {"embedding": 1, "hidden": lr, "block gain": lr, "final gain": 1, "head": 1}
    )
    assert multipliers(deep, "epsilon") == pytest.approx(
        {"embedding": 1, "hidden": 8**-alpha, "block gain": 8**-alpha, "final gain": 1, "head": 1}
    )
    # The init does not follow the depth: the branches do.
    assert rules(deep)["hidden"].init_std == rules(scaled("completep", BASE))["hidden"].init_std


def test_completep_scales_width_as_mup():
    assert tensor_rules(scaled("completep", WIDE), "adamw") == tensor_rules(
        scaled("mup", WIDE), "adamw"
    )


def test_depth_mup_under_sgd_has_one_rate_at_all_depths():
    half = scaled("completep", DEEP, depth_exponent=0.5)
    assert multipliers(half, "lr", "sgd") == dict.fromkeys(EXAMPLES, 1)


def test_under_sgd_deeper_models_do_not_shrink_faster():
    """Its rate grows as m_L at alpha = 1; decay, which is part of the step, must not."""
    found = rules(scaled("completep", DEEP), "sgd")["hidden"]
    assert (found.lr, found.weight_decay) == (8, 1 / 8)


@pytest.mark.parametrize(("name", "lr"), [("adamw", 1 / 2), ("sgd", 1 / 4)])
def test_ntk_is_unit_variance_times_fan_in_to_the_minus_half(name, lr):
    """w ~ N(0, 1) forward as w / sqrt(n): the gradient carries n^-1/2, and so does the step of
    W = w / sqrt(n) under Adam; under SGD both do."""
    wide = scaled("ntk", WIDE)
    assert multipliers(wide, "lr", name) == {
        "embedding": 1,
        "hidden": lr,
        "block gain": 1,
        "final gain": 1,
        "head": lr,
    }
    assert wide.head_multiplier == 1
    assert multipliers(wide, "init_std") == multipliers(Architecture(WIDE), "init_std")


@pytest.mark.parametrize("kind", [torch.optim.AdamW, torch.optim.SGD])
def test_ntk_is_the_training_of_unit_weights(kind):
    """w of unit variance used as w / sqrt(m_N), with one rate, decay and epsilon for all: the same
    steps, to rounding, as W = w / sqrt(m_N) with the rule's multipliers."""
    rule = rules(scaled("ntk", WIDE), "sgd" if kind is torch.optim.SGD else "adamw")["hidden"]
    unit = torch.randn(6, 4, dtype=torch.float64, requires_grad=True)
    ours = (unit.detach() / 2).requires_grad_()  # m_N = 4

    def made(weight, multiplier=TensorRule("hidden", 1.0)):
        epsilon = {} if kind is torch.optim.SGD else {"eps": 0.3 * multiplier.epsilon}
        return kind(
            [weight], lr=0.1 * multiplier.lr, weight_decay=0.5 * multiplier.weight_decay, **epsilon
        )

    optimizers = made(unit), made(ours, rule)
    x = torch.randn(3, 4, dtype=torch.float64)
    for _ in range(5):
        for used, optimizer in zip((lambda: unit / 2, lambda: ours), optimizers, strict=True):
            optimizer.zero_grad()
            (x @ used().T).sin().sum().backward()
            optimizer.step()
    torch.testing.assert_close(ours, unit / 2)


@pytest.mark.parametrize(
    ("rule", "hidden", "shrink"), [("product", 4, 1), ("sqrt", 2, 1 / 2), ("constant", 1, 1 / 4)]
)
def test_decay_rules_of_hidden_matrices(rule, hidden, shrink):
    found = rules(scaled("mup", WIDE, decay_rule=rule))["hidden"]
    assert found.weight_decay == hidden and found.lr * found.weight_decay == shrink


@pytest.mark.parametrize("name", ["mup", "completep"])
def test_attention_scales_as_one_over_the_head_dimension(name):
    for factor in (1, 4):
        shape = dataclasses.replace(WIDE, heads=WIDE.heads // factor)
        architecture = scaled(name, shape, base_head_dim=16)
        assert architecture.attention_multiplier == math.sqrt(16) / (16 * factor)


def test_an_optimizer_without_a_rule_is_refused():
    with pytest.raises(
        ValueError,
        match="'ntk' has no rule for optimizer.name = 'muon'; allowed "
        "are adamp, adamw, .*sgd, or model.parametrization = 'sp'",
    ):
        tensor_rules(scaled("ntk", WIDE), "muon")
