"""What is taken from building a network is what is known of the shipped one by its description."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from scalinglab.scaling.engine.network.transformer import Transformer
from scalinglab.scaling.errors import UserError
from scalinglab.scaling.model.counts import parameter_counts
from scalinglab.scaling.model.dial import architecture_of
from scalinglab.scaling.model.flops import CONVENTIONS, flop_parts, flops_per_token
from scalinglab.scaling.model.module import MODELS, ModuleNetwork
from scalinglab.scaling.model.options import ModelConfig
from scalinglab.scaling.model.parametrization import role_of, tensor_rules
from scalinglab.scaling.optimizers.optimizer import OPTIMIZERS
from scalinglab.scaling.read_options import from_dict

VOCAB, CONTEXT = 40, 16
SHAPE = {"depth": 2, "width": 32, "head_dim": 8, "context": CONTEXT}


def shipped(vocab: int, context: int, **keys):
    """The shipped network as anybody's module."""
    model = from_dict(ModelConfig, {**SHAPE, "context": context, **keys}, "model")
    return Transformer(architecture_of(model, vocab))


class Small(nn.Module):
    """An embedding, a hidden matrix, what a test puts between, and a head."""

    def __init__(self, vocab: int, width: int = 8, between=None) -> None:
        super().__init__()
        self.embedding = nn.Embedding(vocab, width)
        self.hidden = nn.Linear(width, width)
        self.between = between or nn.Identity()
        self.head = nn.Linear(width, vocab, bias=False)

    def forward(self, tokens):
        return self.head(self.between(self.hidden(self.embedding(tokens))))


@pytest.fixture
def network():
    """Makes a network of a function or class, under a name that no other test has."""
    names: list[str] = []

    def of(make, **named) -> ModuleNetwork:
        name = f"tested{len(MODELS)}{make.__name__}"
        MODELS.register(name, __name__)(make)
        names.append(name)
        given = {"options": {}, "context": CONTEXT, "vocab": VOCAB}
        return ModuleNetwork(target=name, **given | named)

    yield of
    for name in names:
        del MODELS[name]


@pytest.mark.parametrize(
    "keys",
    [
        {},
        {"activation": "swiglu", "mlp_ratio": 3},
        {"norm": "layernorm", "tied_head": True, "bias": True, "activation": "gelu"},
        {"loops": 3},
        {"feed_forward": {"name": "low_rank"}},
        {"mixer": {"name": "attention", "queries_per_key": 2}},
    ],
    ids=str,
)
def test_counts_and_flops_are_those_of_the_description(network, keys) -> None:
    built = network(shipped, options=keys)
    model = from_dict(ModelConfig, {**SHAPE, **keys}, "model")
    described = architecture_of(model, VOCAB)
    counts, known = parameter_counts(built), parameter_counts(described)
    for name in ("n_block", "n_matmul", "n_total", "n_active", "embedding", "unembedding"):
        assert counts[name] == known[name], name
    for convention in CONVENTIONS:
        wanted = flops_per_token(flop_parts(described), convention)
        assert flops_per_token(flop_parts(built), convention) == wanted, convention
    sizes = {name: t.size for name, t in built.census.tensors.items()}
    assert {n: t.role for n, t in built.census.tensors.items()} == {
        n: role_of(n, size) for n, size in sizes.items()
    }
    assert (built.shape.width, built.shape.depth) == (32, 2)


def test_activations_are_about_what_is_estimated_of_the_shipped_network(network) -> None:
    from scalinglab.scaling.run.memory import training_bytes

    built, described = network(shipped), architecture_of(ModelConfig(**SHAPE), VOCAB)
    assert 0.5 < training_bytes(built, 8) / training_bytes(described, 8) < 2


def test_rates_of_mup_are_those_of_the_shipped_network(network) -> None:
    """But for the head, whose factor is in its rate in place of a multiplier of the logits."""
    built = network(
        shipped,
        options={"width": 64},
        base_options={"width": 32},
        parametrization="mup",
    )
    # base_options name options of the network: the base is built with them.
    model = ModelConfig(**SHAPE | {"width": 64}, parametrization="mup", base_width=32)
    described = architecture_of(model, VOCAB)
    for name in ("adamw", "sgd", "muon"):
        own, known = (tensor_rules(n, OPTIMIZERS[name]()) for n in (built, described))
        for tensor, rule in known.items():
            if rule.role == "head":
                assert own[tensor].lr == 0.5
                continue
            assert (own[tensor].role, own[tensor].lr) == (rule.role, rule.lr), tensor
            assert own[tensor].weight_decay == rule.weight_decay, tensor
            assert own[tensor].epsilon == rule.epsilon, tensor


def test_a_matrix_that_maps_the_width_to_few_is_a_router_and_stated_roles_win(network) -> None:
    class Gated(Small):
        roles = {"hidden.bias": "gain"}

        def __init__(self, vocab: int, width: int = 8) -> None:
            super().__init__(vocab, width)
            self.gate = nn.Linear(width, 4)
            self.taps = nn.Parameter(torch.ones(3, width))

        def forward(self, tokens):
            x = self.embedding(tokens)
            x = x * self.gate(x).sum(-1, keepdim=True) * self.taps.sum(0)
            return self.head(self.hidden(x))

    built = network(
        Gated,
        options={"width": 16},
        base_options={"width": 8},
        parametrization="mup",
        roles={"ta*": "gain"},
    )
    tensors = built.census.tensors
    assert tensors["gate.weight"].role == "router" and tensors["gate.weight"].growth == 2
    assert tensors["hidden.bias"].role == tensors["taps"].role == "gain"
    assert tensors["hidden.weight"].role == "hidden" and tensors["head.weight"].role == "head"
    assert network(Gated).census.tensors["taps"].role == "other"


def test_a_causal_convolution_counts_each_tap_and_is_no_matrix_of_muon(network) -> None:
    class Convolved(Small):
        def __init__(self, vocab: int, width: int = 8) -> None:
            super().__init__(vocab, width)
            self.conv = nn.Conv1d(width, width, 3)

        def forward(self, tokens):
            x = self.hidden(self.embedding(tokens)).mT
            return self.head(self.conv(nn.functional.pad(x, (2, 0))).mT)

    census = network(Convolved).census
    assert census.tensors["conv.weight"].role == "kernel"
    assert census.counts["n_active"] == 8 * 8 * 3 + 8 * 8 + 8 * VOCAB == census.counts["n_matmul"]


def test_a_network_whose_code_asks_for_numbers_is_counted_on_the_cpu(network) -> None:
    class Asks(nn.Module):
        def forward(self, x):
            return x if x.abs().sum() > 0 else -x

    census = network(lambda vocab: Small(vocab, between=Asks())).census
    assert census.without_meta and census.counts["n_matmul"] == 64 + 8 * VOCAB


def test_what_is_no_network_is_refused_in_one_sentence(network) -> None:
    class Short(Small):
        def forward(self, tokens):
            return super().forward(tokens)[:, :-1]

    class Frozen(Small):
        def __init__(self, vocab: int) -> None:
            super().__init__(vocab)
            self.hidden.weight.requires_grad_(False)

    class Fails(Small):
        def forward(self, tokens):
            raise ZeroDivisionError("oh")

    def asked(make, said: str, **named) -> None:
        with pytest.raises(UserError, match=said):
            network(make, **named).census  # noqa: B018

    asked(Short, r"maps tokens \(2, 16\) to a tensor \(2, 15, 40\); expected are logits")
    asked(Frozen, "hidden.weight is not trained")
    asked(Fails, "forward pass on tokens .* fails: ZeroDivisionError: oh")
    asked(
        Small, "model.options.witdh: .* does not take it; allowed here: width", options={"witdh": 3}
    )
    asked(Small, "width = -1 cannot be built: RuntimeError", options={"width": -1})
    asked(lambda vocab: 3, "makes a int: expected is an nn.Module")
    asked(lambda symbols: 3, "takes no keyword 'vocab'")
    asked(lambda vocab, depth: 3, "model.options.depth is not set")
    asked(Small, "no parameter of .* is called 'heads'", roles={"heads": "head"})
    asked(
        Small,
        "changes the size of no parameter",
        options={"width": 8, "between": None},
        base_options={"between": False},
        parametrization="mup",
    )
