"""What another class computes of exported weights is what the network computes of its own."""

import dataclasses

import pytest
import torch
from transformers import AutoConfig, AutoModelForCausalLM

from scalinglab.scaling.engine.export.export import chosen_form
from scalinglab.scaling.engine.export.form import FORMS
from scalinglab.scaling.engine.export.modeling_scaling_laboratory import (
    ScalingLaboratoryConfig,
    ScalingLaboratoryForCausalLM,
)
from scalinglab.scaling.engine.network.transformer import Transformer
from scalinglab.scaling.errors import ConfigError
from scalinglab.scaling.model.architecture import Architecture
from scalinglab.scaling.model.feed_forwards.low_rank import LowRank
from scalinglab.scaling.model.feed_forwards.moe import MoE
from scalinglab.scaling.model.mixers.attention import Attention
from scalinglab.scaling.model.placements import PLACEMENTS
from scalinglab.scaling.model.shape import Shape

SHAPE = Shape(depth=2, width=24, heads=4, mlp_width=32, context=12, vocab=20)
TOKENS = torch.arange(24).view(2, 12) * 7 % 20
# Multipliers that are one where a network is not scaled from another.
SCALED = {
    "parametrization": "completep",
    "base_width": 12,
    "base_depth": 1,
    "base_head_dim": 3,
    "depth_exponent": 0.5,
}


def network(options):
    """A network whose gains and biases are no ones and zeros, so that each is seen."""
    architecture = Architecture(SHAPE, **options)
    model = Transformer(architecture)
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for parameter in model.parameters():
            noise = torch.randn(parameter.shape, generator=generator)
            parameter.copy_(noise / 3 + (1 if parameter.dim() == 1 else 0))
    return architecture, model


def exported(architecture, model, form):
    """The other class with the weights that it is given."""
    config = FORMS[form].config(architecture)
    tensors = FORMS[form].tensors(architecture, dict(model.named_parameters()))
    if form == "scaling_laboratory":
        config = ScalingLaboratoryConfig(**config)
        other = ScalingLaboratoryForCausalLM(config)
    else:
        config = AutoConfig.for_model(config.pop("model_type"), **config)
        other = AutoModelForCausalLM.from_config(config)
    if architecture.tied_head:
        tensors["head.weight" if form == "scaling_laboratory" else "lm_head.weight"] = tensors[
            "embedding.weight" if form == "scaling_laboratory" else "model.embed_tokens.weight"
        ]
    other.load_state_dict(tensors)
    return other.eval()


def assert_equal(options, form):
    architecture, model = network(options)
    with torch.no_grad():
        torch.testing.assert_close(
            exported(architecture, model, form)(TOKENS).logits,
            model(TOKENS),
            rtol=1e-5,
            atol=1e-5,
        )


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"mixer": Attention(queries_per_key=2)},
        {"tied_head": True},
        {"rope_base": 500.0, "embedding_scale": "sqrt_width"},
        SCALED,
    ],
)
@pytest.mark.parametrize("form", ["llama", "qwen3"])
def test_networks_that_equal_a_class_of_transformers(form, options):
    options = {"activation": "swiglu", "qk_norm": form == "qwen3"} | options
    assert chosen_form(Architecture(SHAPE, **options), "auto") == form
    assert_equal(options, form)


OPTIONS = [
    {},
    *({"placement": name, "post_fraction": 0.5 if name == "mix" else None} for name in PLACEMENTS),
    *({"activation": name} for name in ("relu", "gelu", "swiglu", "geglu")),
    {"norm": "layernorm", "bias": True},
    {"norm": "none", "qk_norm": False},
    {"norm_scale": "inverse_sqrt_layer", "embedding_scale": "norm", "logit_softcap": 5.0},
    {"tied_head": True, "loops": 3},
    {"mixer": Attention(queries_per_key=None, window=5)},
    {"mixer": Attention(positions="alibi", window=5)},
    {"mixer": Attention(positions="none")},
    {"feed_forward": LowRank(rank=0.5), "activation": "swiglu"},
    {"feed_forward": MoE(experts=4, top_k=2, capacity=0.6)},
    {"feed_forward": MoE(experts=4, top_k=1, shared=1, balance="bias"), "activation": "swiglu"},
    {"feed_forward": MoE(experts=4, top_k=3, capacity=None, granularity=2), "norm": "layernorm"},
    {"feed_forward": MoE(experts=4, gates="sigmoid", balance="bias")},
    SCALED,
]


@pytest.mark.parametrize("options", OPTIONS, ids=str)
def test_the_modelling_file_computes_every_option(options):
    assert_equal(options, "scaling_laboratory")


def test_padding_changes_nothing_of_what_is_beside_it():
    for options in (
        {},
        {"mixer": Attention(positions="alibi", window=3)},
        {"feed_forward": MoE(experts=4, top_k=2, capacity=0.6)},
    ):
        architecture, model = network(options)
        other = exported(architecture, model, "scaling_laboratory")
        padded = torch.cat([torch.zeros(2, 3, dtype=torch.long), TOKENS[:, :9]], dim=1)
        mask = torch.ones_like(padded)
        mask[:, :3] = 0
        with torch.no_grad():
            beside = other(padded, attention_mask=mask).logits
            alone = other(TOKENS[:, :9]).logits
        torch.testing.assert_close(beside[:, 3:], alone, rtol=1e-5, atol=1e-5)


def test_a_form_that_does_not_fit_is_refused_by_the_key():
    llama = Architecture(SHAPE, activation="swiglu", qk_norm=False)
    for options, key in [
        ({"qk_norm": True}, "model.qk_norm = True"),
        ({"logit_softcap": 5.0}, "model.logit_softcap = 5.0"),
        ({"mixer": Attention(window=3)}, "model.mixer.window = 3"),
        ({"mixer": Attention(positions="none")}, "model.mixer.positions = 'none'"),
        ({"tied_head": True, "embedding_scale": "sqrt_width"}, "model.tied_head = True"),
    ]:
        architecture = dataclasses.replace(llama, **options)
        with pytest.raises(ConfigError, match=key):
            chosen_form(architecture, "llama")
        assert chosen_form(architecture, "auto") in ("qwen3", "scaling_laboratory")
    with pytest.raises(ConfigError, match="lama"):
        chosen_form(llama, "lama")
    experts = dataclasses.replace(llama, feed_forward=MoE(experts=4))
    assert chosen_form(experts, "auto") == "scaling_laboratory"
    documents = dataclasses.replace(llama, mixer=Attention(within_documents=True))
    with pytest.raises(ConfigError, match=r"no form fits .*model\.mixer\.within_documents = True"):
        chosen_form(documents, "auto")
