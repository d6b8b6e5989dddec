"""Llama and Qwen3 of Hugging Face's transformers: pre-norm, rotary positions, swiglu, no biases.

They differ in the norms of queries and keys, which Qwen3 has. Multipliers of ours that theirs lack
are multiplied into the weights: of the embeddings, of the products of queries and keys, of the
branches, of the logits.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

from torch import Tensor

from scalinglab.scaling.engine.export.form import Form, Weights, first_misfit
from scalinglab.scaling.model.architecture import Architecture
from scalinglab.scaling.model.mixers.attention import Attention

# Ours -> theirs, in a block.
_MATRICES = {
    "query": "self_attn.q_proj",
    "key": "self_attn.k_proj",
    "value": "self_attn.v_proj",
    "out": "self_attn.o_proj",
    "gate": "mlp.gate_proj",
    "up": "mlp.up_proj",
    "down": "mlp.down_proj",
}
_GAINS = {
    "attention_norm": "input_layernorm",
    "mlp_norm": "post_attention_layernorm",
    "query_norm": "self_attn.q_norm",
    "key_norm": "self_attn.k_norm",
}
_ALLOWED: dict[str, tuple[Any, ...]] = {
    "activation": ("swiglu",),
    "norm": ("rmsnorm",),
    "linear": ("dense",),
    "residual": ("add",),
    "placement": ("pre",),
    "norm_scale": ("one",),
    "embedding_scale": ("one", "sqrt_width"),
    "logit_softcap": (None,),
    "bias": (False,),
    "loops": (1,),
}


class RotarySwiglu(Form):
    """One of the two classes.

    Parameters
    ----------
    family : str
        Its name in the library: ``Llama``.
    qk_norm : bool
        Whether it normalises queries and keys.
    """

    def __init__(self, family: str, *, qk_norm: bool) -> None:
        self.family, self.qk_norm = family, qk_norm

    def misfit(self, architecture: Architecture) -> str | None:
        """See ``Form.misfit``."""
        wrong = first_misfit(vars(architecture), _ALLOWED | {"qk_norm": (self.qk_norm,)})
        if wrong is not None:
            return wrong
        mixer = architecture.mixer
        if architecture.feed_forward.name != "mlp":
            return f"model.feed_forward.name = {architecture.feed_forward.name!r}"
        if not isinstance(mixer, Attention):
            return f"model.mixer.name = {mixer.name!r}"
        if mixer.positions != "rotary":
            return f"model.mixer.positions = {mixer.positions!r}"
        if mixer.window is not None:
            return f"model.mixer.window = {mixer.window}"
        if mixer.within_documents:
            return "model.mixer.within_documents = True"
        if architecture.tied_head and architecture.embedding_multiplier != 1:
            return "model.tied_head = True"  # one matrix cannot hold two multipliers
        if architecture.tied_head and architecture.head_multiplier != 1:
            return f"model.parametrization = {architecture.parametrization!r}"
        return None

    def config(self, architecture: Architecture) -> dict[str, Any]:
        """See ``Form.config``."""
        shape, mixer = architecture.shape, architecture.mixer
        assert isinstance(mixer, Attention)  # see `misfit`
        return {
            "architectures": [f"{self.family}ForCausalLM"],
            "model_type": self.family.lower(),
            "vocab_size": shape.vocab,
            "hidden_size": shape.width,
            "intermediate_size": shape.mlp_width,
            "num_hidden_layers": shape.depth,
            "num_attention_heads": shape.heads,
            "num_key_value_heads": mixer.key_width(architecture) // shape.head_dim,
            "head_dim": shape.head_dim,
            "hidden_act": "silu",
            "max_position_embeddings": shape.context,
            "rms_norm_eps": 1e-6,
            "rope_parameters": {"rope_type": "default", "rope_theta": architecture.rope_base},
            "attention_bias": False,
            "mlp_bias": False,
            "tie_word_embeddings": architecture.tied_head,
            "dtype": "float32",
        }

    def tensors(self, architecture: Architecture, weights: Weights) -> dict[str, Tensor]:
        """See ``Form.tensors``."""
        tensors = {
            "model.embed_tokens.weight": weights["embedding.weight"]
            * architecture.embedding_multiplier,
            "model.norm.weight": weights["norm.gain"],
        }
        if not architecture.tied_head:
            tensors["lm_head.weight"] = weights["head.weight"] * architecture.head_multiplier
        for layer in range(architecture.shape.depth):
            for theirs, tensor in self._block(architecture, weights, f"blocks.{layer}."):
                tensors[f"model.layers.{layer}.{theirs}"] = tensor
        return tensors

    def _block(
        self, architecture: Architecture, weights: Weights, place: str
    ) -> Iterator[tuple[str, Tensor]]:
        # Their attention divides by sqrt(head_dim). A norm of queries would undo a factor of their
        # matrix, and so its gain takes the factor.
        scores = architecture.attention_multiplier * math.sqrt(architecture.shape.head_dim)
        factor = {
            "query_norm" if self.qk_norm else "query": scores,
            "out": architecture.residual_multiplier,
            "down": architecture.residual_multiplier,
        }
        ours = {
            name.removeprefix(place): t for name, t in weights.items() if name.startswith(place)
        }
        for name, tensor in ours.items():
            *_, layer, kind = name.split(".")
            theirs = _MATRICES[layer] if kind == "weight" else _GAINS[layer]
            yield f"{theirs}.weight", tensor * factor.get(layer, 1.0)
