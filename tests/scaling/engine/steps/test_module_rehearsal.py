"""What two steps of a network show before it trains."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

from scalinglab.scaling.engine.steps.eager import EagerEngine
from scalinglab.scaling.engine.steps.engine import Member
from scalinglab.scaling.errors import UserError
from scalinglab.scaling.model.module import MODELS, ModuleNetwork
from scalinglab.scaling.optimizers.optimizer import OPTIMIZERS

CONTEXT, VOCAB = 8, 12


class Net(nn.Module):
    """Each token by itself, through what a test puts between."""

    def __init__(self, vocab: int, width: int = 8) -> None:
        super().__init__()
        self.embedding = nn.Embedding(vocab, width)
        self.hidden = nn.Linear(width, width)
        self.head = nn.Linear(width, vocab)

    def forward(self, tokens):
        return self.head(self.between(self.hidden(self.embedding(tokens))))

    def between(self, x):
        return torch.tanh(x)


class Counted(Net):
    """A state that is a buffer: the mean of what has passed in training, on the device."""

    def __init__(self, vocab: int) -> None:
        super().__init__(vocab)
        self.register_buffer("level", torch.ones(8))

    def between(self, x):
        if self.training:
            self.level.lerp_(x.detach().mean((0, 1)), 0.1)
        return x * self.level


@pytest.fixture
def network():
    names: list[str] = []

    def of(make) -> ModuleNetwork:
        names.append(f"rehearsed{len(names)}{make.__name__}")
        MODELS.register(names[-1], __name__)(make)
        return ModuleNetwork(names[-1], {}, CONTEXT, VOCAB)

    yield of
    for name in names:
        del MODELS[name]


def test_a_plain_network_packs(network) -> None:
    found = network(Net).rehearsed
    assert found.alone == "" and not found.draws


def test_what_draws_or_has_a_state_trains_alone_and_resumes(network) -> None:
    class Dropped(Net):
        def between(self, x):
            return nn.functional.dropout(x, 0.5, self.training)

    found = network(Dropped).rehearsed
    assert found.draws and "draws random numbers" in found.alone
    found = network(Counted).rehearsed
    assert not found.draws and "buffers" in found.alone and "level" in found.alone


def test_what_cannot_be_batched_trains_alone(network) -> None:
    class Recurrent(Net):
        def __init__(self, vocab: int) -> None:
            super().__init__(vocab)
            self.memory = nn.GRU(8, 8, batch_first=True)

        def between(self, x):
            return self.memory(x)[0]

    assert "cannot be batched over runs" in network(Recurrent).rehearsed.alone


def test_what_would_be_wrong_without_a_word_is_refused(network) -> None:
    class Ahead(Net):
        def between(self, x):
            return x - x.mean(1, keepdim=True)

    class Remembers(Net):
        calls = 0.0

        def between(self, x):
            if self.training and torch.is_grad_enabled():
                self.calls += 1
            return x * (1 + self.calls)

    class Draws(Net):
        def between(self, x):
            return x + float(np.random.rand())

    class Detached(Net):
        def forward(self, tokens):
            return super().forward(tokens).detach() + 0 * self.head.bias.sum()

    class Breaks(Net):
        def between(self, x):
            return x.log() * 1e30

    for make, said in {
        Ahead: "looks ahead",
        Remembers: "must be a persistent buffer",
        Draws: "two passes with one seed differ",
        Detached: "no gradient reaches",
        Breaks: "loss of its first steps is",
    }.items():
        with pytest.raises(UserError, match=said):
            network(make).rehearsed  # noqa: B018


def test_validation_and_measurements_change_no_state_and_a_checkpoint_holds_it(network) -> None:
    built = network(Counted)
    member = Member(0, OPTIMIZERS["adamw"]())
    tokens = np.random.default_rng(1).integers(VOCAB, size=(6, 1, 4, CONTEXT + 1))
    lr = np.full((6, 1), 1e-2)
    whole, half = EagerEngine(built, [member]), EagerEngine(built, [member])
    result = whole.train(tokens, lr, torch.Tensor.backward)
    first = half.train(tokens[:3], lr[:3], torch.Tensor.backward)
    state = half.state(0)
    assert not torch.equal(state["buffer/level"], torch.ones(8))
    half.evaluate(tokens[0, 0])
    half.measure(["noise_scale", "logits"], tokens[0])
    assert torch.equal(half.state(0)["buffer/level"], state["buffer/level"])
    resumed = EagerEngine(built, [member])
    resumed.load(0, state, 3)
    second = resumed.train(tokens[3:], lr[3:], torch.Tensor.backward)
    assert np.array_equal(np.concatenate([first.loss, second.loss]), result.loss)
    again = resumed.state(0)
    assert all(torch.equal(again[key], value) for key, value in whole.state(0).items())
