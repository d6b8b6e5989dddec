"""A network of one's own is exported under its own names, those of transformers as their classes."""

import pytest
import torch
from torch import nn
from transformers import AutoConfig, AutoModelForCausalLM

from scalinglab.scaling.engine.export.export import chosen_form
from scalinglab.scaling.engine.export.own_network import how_to_load, library_config
from scalinglab.scaling.engine.network.module import build, logits_of
from scalinglab.scaling.errors import ConfigError
from scalinglab.scaling.model.module import ModuleNetwork

OPTIONS = {
    "hidden_size": 16,
    "intermediate_size": 32,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "num_key_value_heads": 1,
}
LLAMA = ModuleNetwork("transformers.LlamaForCausalLM", vocab=16, context=8, options=OPTIONS)


def test_a_class_of_transformers_is_loaded_by_its_configuration():
    assert chosen_form(LLAMA, "auto") == "module"
    config = library_config(LLAMA)
    assert config["architectures"] == ["LlamaForCausalLM"]
    other = AutoModelForCausalLM.from_config(AutoConfig.for_model(**config)).eval()
    module = build(LLAMA, 3).eval()
    other.load_state_dict(dict(module.named_parameters()))
    tokens = torch.arange(16).view(2, 8)
    with torch.no_grad():
        torch.testing.assert_close(other(tokens).logits, logits_of(module(tokens)))


def net(vocab: int, context: int) -> nn.Module:
    """A network that no library has."""
    return nn.Sequential(nn.Embedding(vocab, 4), nn.Linear(4, vocab))


def test_any_other_network_is_built_by_its_own_code():
    network = ModuleNetwork(f"{__name__}.net", options={}, vocab=16, context=8)
    assert library_config(network) is None
    assert f"`{network.target}`" in how_to_load(network, is_of_library=False)
    with pytest.raises(ConfigError, match="allowed are auto and module"):
        chosen_form(network, "llama")
