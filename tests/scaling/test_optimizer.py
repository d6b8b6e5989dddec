"""AdamW over stacked members is torch's AdamW for each of them, and members never mix."""

import dataclasses
import math

import numpy as np
import pytest
import torch

from scaling.optimizer import AdamW, AdamWSettings

SETTINGS = [
    AdamWSettings(beta1=0.9, beta2=0.95, epsilon=1e-8, weight_decay=0.1, clip=1.0),
    AdamWSettings(beta1=0.8, beta2=0.999, epsilon=1e-6, weight_decay=0.0, clip=0.3),
    AdamWSettings(beta1=0.0, beta2=0.9, epsilon=1e-3, weight_decay=1.0, clip=math.inf),
]
STEPS, SIZE = 20, 60
DECAYED = torch.tensor([1.0] * 40 + [0.0] * 20)
LR = 0.1 * np.random.default_rng(0).random((STEPS, 3))


def start():
    return torch.randn(3, SIZE, generator=torch.Generator().manual_seed(1))


def gradients():
    return torch.randn(STEPS, 3, SIZE, generator=torch.Generator().manual_seed(2)) * 0.2


def run(settings=SETTINGS, rows=slice(None), gradients_SkP=None):
    weights = start()[rows].clone()
    optimizer = AdamW(settings, DECAYED)
    norms = [
        optimizer.step(weights, gradient[rows].clone(), torch.from_numpy(LR[s])[rows], s + 1)
        for s, gradient in enumerate(gradients() if gradients_SkP is None else gradients_SkP)
    ]
    return weights, torch.stack(norms), optimizer


def torch_run(settings, row):
    """The same training with torch's own optimizer and clipping."""
    decayed = torch.nn.Parameter(start()[row][:40].clone())
    free = torch.nn.Parameter(start()[row][40:].clone())
    optimizer = torch.optim.AdamW(
        [{"params": [decayed], "weight_decay": settings.weight_decay},
         {"params": [free], "weight_decay": 0.0}],
        betas=(settings.beta1, settings.beta2),
        eps=settings.epsilon,
    )  # fmt: skip
    norms = []
    for s, gradient in enumerate(gradients()):
        for group in optimizer.param_groups:
            group["lr"] = float(LR[s, row])
        decayed.grad, free.grad = gradient[row][:40].clone(), gradient[row][40:].clone()
        norms.append(torch.nn.utils.clip_grad_norm_([decayed, free], settings.clip))
        optimizer.step()
    return torch.cat([decayed, free]).detach(), torch.stack(norms)


@pytest.mark.parametrize("row", range(3))
def test_each_member_trains_as_with_torch(row):
    """To float32 rounding after 20 steps, each member with its own rates and settings."""
    weights, norms, _ = run()
    expected_weights, expected_norms = torch_run(SETTINGS[row], row)
    torch.testing.assert_close(weights[row], expected_weights, rtol=2e-6, atol=2e-6)
    torch.testing.assert_close(norms[:, row], expected_norms, rtol=1e-6, atol=0)


def test_the_case_above_really_clips_some_members_and_not_others():
    _, norms, _ = run()
    assert norms[:, 0].min() > SETTINGS[0].clip and norms[:, 1].min() > SETTINGS[1].clip
    assert SETTINGS[2].clip == math.inf


@pytest.mark.parametrize("row", range(3))
def test_a_member_alone_is_bit_for_bit_the_member_in_a_pack(row):
    together, norms, _ = run()
    alone, norms_alone, _ = run([SETTINGS[row]], slice(row, row + 1))
    assert torch.equal(alone[0], together[row])
    assert torch.equal(norms_alone[:, 0], norms[:, row])


@pytest.mark.parametrize("poison", [math.nan, math.inf])
def test_a_broken_member_leaves_the_others_bits_alone(poison):
    clean, _, clean_state = run()
    broken = gradients()
    broken[3, 0, 7] = poison
    weights, _, state = run(gradients_SkP=broken)
    assert not torch.isfinite(weights[0]).all()
    for part, expected in (
        (weights, clean),
        (state.first, clean_state.first),
        (state.second, clean_state.second),
    ):
        assert torch.equal(part[1:], expected[1:])


def test_decay_acts_only_where_it_should():
    """With no gradient, decayed weights shrink by prod(1 - lr wd) and the others stay."""
    weights, _, _ = run(gradients_SkP=torch.zeros(STEPS, 3, SIZE))
    shrunk = start()[0] * float(np.prod(1 - LR[:, 0] * 0.1))
    torch.testing.assert_close(weights[0, :40], shrunk[:40])
    assert torch.equal(weights[0, 40:], start()[0, 40:])


def test_the_norm_is_that_before_clipping():
    _, norms, _ = run()
    assert torch.equal(norms[0], torch.linalg.vector_norm(gradients()[0], dim=1))


def test_settings_name_every_knob():
    assert {f.name for f in dataclasses.fields(AdamWSettings)} == {
        "beta1", "beta2", "epsilon", "weight_decay", "clip",
    }  # fmt: skip
