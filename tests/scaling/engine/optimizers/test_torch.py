"""What torch has too is torch's for each member: own settings, weight decay, clipping, 24 steps."""

import pytest
import torch


def adam(lab, member):
    values = lab.ADAM[member]
    return {"betas": (values["beta1"], values["beta2"]), "eps": values["epsilon"]}


def assert_equal(lab, trained, expected, member, names=None, **tolerance):
    tolerance = {"rtol": 2e-5, "atol": 2e-6} | tolerance
    for name in names or lab.SIZES:
        torch.testing.assert_close(trained.tensor(name, member), expected[name], **tolerance)


members = pytest.mark.parametrize("member", range(3))


@members
def test_adamw(lab, torch_trained, member):
    def build(name, parameter, decay):
        return torch.optim.AdamW([parameter], weight_decay=decay, **adam(lab, member))

    trained = lab.Trained(lab.settings("adamw")).run()
    assert_equal(lab, trained, torch_trained(member, build), member)


@members
@pytest.mark.parametrize("nesterov", [False, True])
def test_sgd(lab, torch_trained, member, nesterov):
    def build(name, parameter, decay):
        return torch.optim.SGD([parameter], momentum=0.9, nesterov=nesterov, weight_decay=decay)

    trained = lab.Trained(lab.settings("sgd", nesterov=nesterov)).run()
    assert_equal(lab, trained, torch_trained(member, build), member)


@members
def test_nadamw(lab, torch_trained, member):
    def build(name, parameter, decay):
        return torch.optim.NAdam(
            [parameter],
            weight_decay=decay,
            decoupled_weight_decay=True,
            momentum_decay=0.01,
            **adam(lab, member),
        )

    trained = lab.Trained(lab.settings("nadamw", momentum_decay=0.01)).run()
    assert_equal(lab, trained, torch_trained(member, build), member)


@members
def test_adafactor(lab, torch_trained, member):
    def build(name, parameter, decay):
        return torch.optim.Adafactor([parameter], weight_decay=decay)

    trained = lab.Trained(lab.settings("adafactor")).run()
    assert_equal(lab, trained, torch_trained(member, build), member)


@members
@pytest.mark.parametrize("nesterov", [False, True])
@pytest.mark.parametrize("adjust_lr", ["original", "match_rms_adamw"])
def test_muon(lab, torch_trained, member, nesterov, adjust_lr):
    """Torch iterates in bfloat16: in the same precision the updates agree to its rounding."""

    def build(name, parameter, decay):
        if name not in ("wide", "tall", "other", "square"):
            return torch.optim.AdamW([parameter], weight_decay=decay, **adam(lab, member))
        return torch.optim.Muon(
            [parameter], weight_decay=decay, momentum=0.9, nesterov=nesterov, adjust_lr_fn=adjust_lr
        )

    own = {"momentum": 0.9, "nesterov": nesterov, "adjust_lr": adjust_lr}
    trained = lab.Trained(lab.settings("muon", **own))
    trained.optimizer.dtype = torch.bfloat16
    trained.run()
    expected = torch_trained(member, build)
    assert_equal(lab, trained, expected, member, ["embedding", "gain", "head"])
    moved = expected["wide"] - lab.Trained(lab.settings("muon")).tensor("wide", member)
    assert moved.abs().mean() > 0.02
    assert_equal(lab, trained, expected, member, rtol=0, atol=2e-3)
