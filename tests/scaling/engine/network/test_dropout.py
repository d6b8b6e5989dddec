"""Masks are a function of seed, step, place and tokens, whatever the execution of a run."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from scalinglab.scaling.engine.network.dropout import dropped, key_of, of_place, of_sequences
from scalinglab.scaling.engine.steps.engine import Member
from scalinglab.scaling.engine.steps.engines import ENGINES
from scalinglab.scaling.model.architecture import Architecture
from scalinglab.scaling.model.shape import Shape
from scalinglab.scaling.optimizers.adamw import AdamWConfig
from scalinglab.scaling.run.step_options import StepOptions

SHAPE = Shape(depth=2, width=16, heads=2, mlp_width=64, context=16, vocab=11)
DROPPING = Architecture(SHAPE, dropout=0.2)
ADAMW = AdamWConfig(beta1=0.9, beta2=0.95, epsilon=1e-8, weight_decay=0.1, clip=1.0)
MEMBERS = [Member(0, ADAMW), Member(1, ADAMW)]
STEPS, BATCH = 20, 4
TOKENS = np.random.default_rng(0).integers(SHAPE.vocab, size=(STEPS, 2, BATCH, SHAPE.context + 1))
LR = np.full((STEPS, 2), 0.01)
WINDOWS = TOKENS[0, 0]


def train(target, steps=slice(None), members=slice(None)):
    return target.train(TOKENS[steps, members], LR[steps, members], torch.Tensor.backward)


def mask(seed: int, step: int, place: int, tokens: torch.Tensor, share: float) -> torch.Tensor:
    key_B = of_sequences(key_of(torch.tensor(seed), step), tokens)
    return dropped(torch.ones(*tokens.shape, 64), share, of_place(key_B, place)) == 0


def test_a_mask_drops_its_share_and_others_are_independent_of_it() -> None:
    tokens = torch.randint(11, (8, 32), generator=torch.Generator().manual_seed(0))
    one = mask(1, 1, 0, tokens, 0.25)
    n = one.numel()
    assert one.float().mean().item() == pytest.approx(0.25, abs=4 * (0.1875 / n) ** 0.5)
    # Of a place, over sequences, positions and channels; no axis is favoured.
    for axes in ((0, 1), (0, 2), (1, 2)):
        rest = one.float().mean(axes)
        spread = (0.1875 / (n / rest.numel())) ** 0.5
        assert (rest - 0.25).abs().max() < 5 * spread
    for other in (
        mask(2, 1, 0, tokens, 0.25),
        mask(1, 2, 0, tokens, 0.25),
        mask(1, 1, 1, tokens, 0.25),
        mask(1, 1, 1000, tokens, 0.25),  # a network may be deep
        mask(1, 1, 0, (tokens + 1) % 11, 0.25),
        one.roll(1, 0),
        one.roll(1, 1),
        one.roll(1, 2),
    ):
        both = (one & other).float().mean().item()
        assert both == pytest.approx(0.0625, abs=5 * (0.0586 / n) ** 0.5)


def test_the_mean_stays_and_nothing_is_dropped_at_zero() -> None:
    tokens = torch.randint(11, (8, 32), generator=torch.Generator().manual_seed(0))
    key_B = of_sequences(key_of(torch.tensor(1), 1), tokens)
    x_BTD = torch.ones(8, 32, 64)
    assert dropped(x_BTD, 0.4, key_B).mean().item() == pytest.approx(1, abs=0.02)
    assert torch.equal(dropped(x_BTD, 0.0, key_B), x_BTD)


def test_a_step_is_a_number_or_a_tensor_alike() -> None:
    seed = torch.tensor([3, 4])
    assert torch.equal(key_of(seed, 7), key_of(seed, torch.tensor(7.0, dtype=torch.float64)))


def test_a_pack_drops_what_its_members_drop_alone() -> None:
    pack = train(ENGINES["eager"](DROPPING, MEMBERS))
    for i, member in enumerate(MEMBERS):
        alone = train(ENGINES["eager"](DROPPING, [member]), members=slice(i, i + 1))
        np.testing.assert_allclose(alone.loss[:, 0], pack.loss[:, i], rtol=1e-4)
    kept = train(ENGINES["eager"](Architecture(SHAPE), MEMBERS))
    assert np.abs(kept.loss - pack.loss).max() > 0.01


@pytest.mark.parametrize("options", [StepOptions(), StepOptions(recompute=True)])
def test_parts_of_a_batch_and_what_is_computed_again_drop_the_same(options: StepOptions) -> None:
    whole = train(ENGINES["eager"](DROPPING, MEMBERS[:1]), members=slice(0, 1))
    target = ENGINES["eager"](DROPPING, MEMBERS[:1], micro_batch=1, options=options)
    parts = train(target, members=slice(0, 1))
    np.testing.assert_allclose(parts.loss, whole.loss, rtol=1e-4)


def test_it_goes_on_to_the_bit_and_validation_drops_nothing() -> None:
    through = ENGINES["eager"](DROPPING, MEMBERS)
    curve = train(through)
    first = ENGINES["eager"](DROPPING, MEMBERS)
    train(first, slice(0, 9))
    first.evaluate(WINDOWS)
    first.measure(["logits"], TOKENS[0])
    second = ENGINES["eager"](DROPPING, MEMBERS)
    for i in range(2):
        second.load(i, first.state(i), 9)
    rest = train(second, slice(9, None))
    assert np.array_equal(rest.loss, curve.loss[9:])
    plain = ENGINES["eager"](Architecture(SHAPE), MEMBERS)
    for i in range(2):
        plain.load(i, through.state(i), STEPS)
    assert np.array_equal(plain.evaluate(WINDOWS), through.evaluate(WINDOWS))


def test_runs_without_it_have_the_identity_that_they_had() -> None:
    assert Architecture.from_science({"name": "transformer", **vars(SHAPE)}).dropout == 0
    assert DROPPING.science()["dropout"] == 0.2
