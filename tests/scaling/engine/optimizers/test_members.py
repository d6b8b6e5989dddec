"""Every optimizer: members apart, exact resuming, the rules of single tensors."""

import dataclasses

import pytest
import torch

from scalinglab.scaling.engine.network.stacked import split
from scalinglab.scaling.engine.optimizers.optimizer import UPDATES, build_optimizer
from scalinglab.scaling.optimizers.optimizer import OPTIMIZERS

every = pytest.mark.parametrize("name", UPDATES)
GENTLE = {"soap": 2e-3}  # its bases amplify rounding where a direction has no strength


def held(lab, optimizer, member):
    """All moments of one member by part and name."""
    parts = optimizer.moments.items()
    tensors = {p: split(h, lab.SIZES) if isinstance(h, torch.Tensor) else h for p, h in parts}
    return {f"{p}/{n}": t[member] for p, by_name in tensors.items() for n, t in by_name.items()}


def test_every_optimizer_has_settings_and_the_other_way_round():
    assert UPDATES.keys() == OPTIMIZERS.keys()


@every
def test_a_member_alone_is_the_member_in_a_pack(lab, name):
    together = lab.Trained(lab.settings(name)).run()
    for i in range(3):
        alone = lab.Trained(lab.settings(name), slice(i, i + 1)).run()
        tolerance = GENTLE.get(name, 1e-6)
        torch.testing.assert_close(alone.weights[0], together.weights[i], rtol=0, atol=tolerance)


@every
def test_a_broken_member_leaves_the_others_bits_alone(lab, name):
    clean, broken = lab.Trained(lab.settings(name)).run(), lab.Trained(lab.settings(name))
    broken.run(poison=True)
    assert not torch.isfinite(broken.weights[0]).all()
    assert torch.equal(broken.weights[1:], clean.weights[1:])
    for i in (1, 2):
        expected = held(lab, clean.optimizer, i)
        assert all(torch.equal(v, expected[k]) for k, v in held(lab, broken.optimizer, i).items())


@every
@pytest.mark.parametrize("half", [1, 11])
def test_weights_and_moments_are_all_there_is_to_know(lab, name, half):
    whole = lab.Trained(lab.settings(name)).run()
    first, second = lab.Trained(lab.settings(name)).run(last=half), lab.Trained(lab.settings(name))
    second.weights.copy_(first.weights)
    for i in range(3):
        found = held(lab, first.optimizer, i)
        for key, tensor in held(lab, second.optimizer, i).items():
            tensor.copy_(found[key])
    assert torch.equal(second.run(first=half).weights, whole.weights)


@every
def test_multipliers_of_one_are_no_multipliers(lab, name):
    """A tensor's factor on the LR: all tensors at 2 are a run at twice the LR."""
    double = {n: dataclasses.replace(r, lr=2.0) for n, r in lab.RULES.items()}
    factor = lab.Trained(lab.settings(name), rules=double)
    plain = lab.Trained(lab.settings(name))
    gradient = torch.randn(plain.weights.shape, generator=torch.Generator().manual_seed(5))
    for count in (1, 2, 3):
        lr = torch.full((3,), 0.001 * count, dtype=torch.float64)
        factor.optimizer.step(factor.weights, gradient.clone(), lr, count)
        plain.optimizer.step(plain.weights, gradient.clone(), 2 * lr, count)
    torch.testing.assert_close(factor.weights, plain.weights, rtol=1e-5, atol=1e-6)


@every
def test_a_tensor_whose_lr_factor_is_zero_stays(lab, name):
    rules = lab.RULES | {"wide": dataclasses.replace(lab.RULES["wide"], lr=0.0)}
    trained = lab.Trained(lab.settings(name), rules=rules)
    before = trained.weights.clone()
    trained.run()
    for tensor, weight in split(before, lab.SIZES).items():
        same = torch.equal(trained.tensor(tensor, 0), weight[0])
        assert same == (tensor == "wide")


@every
def test_decay_is_multiplied_tensor_by_tensor(lab, name):
    """The difference that decay makes in one small step is lr wd w, twice that where asked."""
    rules = lab.RULES | {"wide": dataclasses.replace(lab.RULES["wide"], weight_decay=2.0)}
    kind, lr = OPTIMIZERS[name], 1e-3
    used = kind.__dataclass_fields__
    values = {k: v for k, v in (lab.COMMON[0] | lab.ADAM[0]).items() if k in used}
    with_decay, without = (
        lab.Trained([kind(**values | {"weight_decay": d})] * 3, rules=rules) for d in (0.5, 0.0)
    )
    before, small = with_decay.weights.clone(), torch.full((3,), lr, dtype=torch.float64)
    for trained in (with_decay, without):
        gradient = before.clone()  # parallel to the weights: no scale-invariance for AdamP
        trained.optimizer.step(trained.weights, gradient, small, 1)
    for tensor, weight in split(before, lab.SIZES).items():
        expected = -lr * 0.5 * rules[tensor].weight_decay * weight
        found = split(with_decay.weights - without.weights, lab.SIZES)[tensor]
        torch.testing.assert_close(found, expected, rtol=0, atol=1e-6, msg=tensor)


@pytest.mark.parametrize("name", ["adamw", "nadamw", "adamp", "muon"])
def test_epsilon_is_multiplied_tensor_by_tensor(lab, name):
    """An enormous epsilon stops AdamW's tensors; a factor stops one of them."""
    rules = lab.RULES | {"gain": dataclasses.replace(lab.RULES["gain"], epsilon=1e30)}
    trained = lab.Trained(lab.settings(name), rules=rules)
    before = trained.tensor("gain", 0).clone()
    trained.run()
    torch.testing.assert_close(trained.tensor("gain", 0), before, rtol=0, atol=1e-9)
    untrained = lab.Trained(lab.settings(name))
    assert not torch.allclose(trained.tensor("head", 0), untrained.tensor("head", 0))


def test_only_what_changes_its_kernels_cannot_be_captured():
    refused = {name for name, kind in UPDATES.items() if not kind.capturable}
    assert refused == {"soap"}


@pytest.mark.parametrize("name", [n for n, kind in UPDATES.items() if kind.capturable])
def test_a_count_that_lies_on_the_device_is_the_same_count(lab, name):
    """What a CUDA graph needs."""
    plain, tensor = lab.Trained(lab.settings(name)), lab.Trained(lab.settings(name))
    for count in range(1, 6):
        gradient, lr = lab.gradients()[count], torch.full((3,), 0.01, dtype=torch.float64)
        plain.optimizer.step(plain.weights, gradient.clone(), lr, count)
        on_device = torch.tensor(float(count), dtype=torch.float64)
        tensor.optimizer.step(tensor.weights, gradient.clone(), lr, on_device)
    torch.testing.assert_close(tensor.weights, plain.weights, rtol=1e-6, atol=1e-7)


def test_the_norm_is_that_before_clipping(lab):
    trained, gradient = lab.Trained(lab.settings("adamw")), lab.gradients()[0]
    norms = trained.optimizer.step(trained.weights, gradient.clone(), torch.ones(3), 1)
    assert torch.equal(norms, torch.linalg.vector_norm(gradient, dim=1))
    assert norms[1] > lab.COMMON[1]["clip"]  # so the equalities with torch see clipping too


def test_muon_keeps_one_moment_of_hidden_matrices_and_two_of_the_rest(lab):
    moments = build_optimizer(lab.settings("muon"), lab.SIZES, lab.RULES, "cpu").moments
    rest = {"embedding", "gain", "head"}
    assert {p: set(m) for p, m in moments.items()} == {
        "first": rest,
        "second": rest,
        "momentum": {"wide", "tall", "other", "square"},
    }


@pytest.mark.parametrize(
    ("name", "key", "values"),
    [
        ("muon", "orthogonal_steps", (3, 5)),
        ("sgd", "nesterov", (False, True)),
        ("soap", "refresh_steps", (1, 2)),
    ],
)
def test_what_members_of_a_pack_must_agree_in(lab, name, key, values):
    members = lab.settings(name)
    members[:2] = [dataclasses.replace(members[0], **{key: v}) for v in values]
    with pytest.raises(ValueError, match=rf"optimizer\.{key} = .*must agree"):
        build_optimizer(members, lab.SIZES, lab.RULES, "cpu")


def test_members_of_several_optimizers_are_refused(lab):
    with pytest.raises(ValueError, match=r"optimizer\.name = adamw, lion: the members"):
        members = [lab.settings(name)[0] for name in ("adamw", "lion")]
        build_optimizer(members, lab.SIZES, lab.RULES, "cpu")
