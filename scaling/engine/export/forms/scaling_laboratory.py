"""The network as it is, with a modelling file of its own beside the weights."""

from __future__ import annotations

from pathlib import Path
from typing import Any, ClassVar

from torch import Tensor

from scalinglab.scaling.engine.export.form import FORMS, Form, Weights, first_misfit
from scalinglab.scaling.model.architecture import Architecture
from scalinglab.scaling.model.feed_forwards.low_rank import LowRank
from scalinglab.scaling.model.feed_forwards.mlp import MLP
from scalinglab.scaling.model.feed_forwards.moe import MoE
from scalinglab.scaling.model.mixers.attention import Attention

MODELLING = Path(__file__).parents[1] / "modeling_scaling_laboratory.py"

_ALLOWED: dict[str, tuple[Any, ...]] = {
    "norm": ("rmsnorm", "layernorm", "none"),
    "linear": ("dense",),
    "residual": ("add",),
}


class ScalingLaboratory(Form):
    """Every option of the transformer, with the parts that the modelling file has."""

    general: ClassVar[bool] = True

    def misfit(self, architecture: Architecture) -> str | None:
        """See ``Form.misfit``."""
        wrong = first_misfit(vars(architecture), _ALLOWED)
        if wrong is not None:
            return wrong
        if not isinstance(architecture.mixer, Attention):
            return f"model.mixer.name = {architecture.mixer.name!r}"
        if architecture.mixer.within_documents:
            return "model.mixer.within_documents = True"
        if not isinstance(architecture.feed_forward, MLP | LowRank | MoE):
            return f"model.feed_forward.name = {architecture.feed_forward.name!r}"
        return None

    def config(self, architecture: Architecture) -> dict[str, Any]:
        """See ``Form.config``."""
        shape, mixer, feed_forward = (
            architecture.shape,
            architecture.mixer,
            architecture.feed_forward,
        )
        assert isinstance(mixer, Attention)  # see `misfit`
        layers = range(shape.depth)
        rank = feed_forward.inner(architecture) if isinstance(feed_forward, LowRank) else None
        module = MODELLING.stem
        return {
            "architectures": ["ScalingLaboratoryForCausalLM"],
            "auto_map": {
                "AutoConfig": f"{module}.ScalingLaboratoryConfig",
                "AutoModelForCausalLM": f"{module}.ScalingLaboratoryForCausalLM",
            },
            "model_type": "scaling_laboratory",
            "vocab_size": shape.vocab,
            "hidden_size": shape.width,
            "num_hidden_layers": shape.depth,
            "num_attention_heads": shape.heads,
            "num_key_value_heads": mixer.key_width(architecture) // shape.head_dim,
            "intermediate_size": shape.mlp_width,
            "max_position_embeddings": shape.context,
            "activation": architecture.activation,
            "norm": architecture.norm,
            "norms": [[dict(vars(norms)) for norms in architecture.norms(i)] for i in layers],
            "norm_multipliers": [architecture.norm_multiplier(i) for i in layers],
            "embedding_norm": architecture.embedding_scale == "norm",
            "final_norm": architecture.final_norm,
            "qk_norm": architecture.qk_norm,
            "value_norm": architecture.value_norm,
            "head_gains": architecture.head_gains,
            "parallel": architecture.parallel,
            "bias": architecture.bias,
            "loops": architecture.loops,
            "positions": mixer.positions,
            "rope_base": architecture.rope_base,
            "window": mixer.window,
            "rank": rank,
            "experts": _experts(architecture),
            "softcap": architecture.logit_softcap,
            "embedding_multiplier": architecture.embedding_multiplier,
            "attention_multiplier": architecture.attention_multiplier,
            "stream_multiplier": architecture.stream_multiplier,
            "branch_multiplier": architecture.residual_multiplier,
            "head_multiplier": architecture.head_multiplier,
            "tie_word_embeddings": architecture.tied_head,
            "dtype": "float32",
        }

    def tensors(self, architecture: Architecture, weights: Weights) -> dict[str, Tensor]:
        """See ``Form.tensors``: under our own names, without the prefixes of parts."""
        place = f".{architecture.feed_forward.module}."
        if not architecture.feed_forward.module:
            return dict(weights)
        prefix = ".moe." if isinstance(architecture.feed_forward, MoE) else "."
        return {name.replace(place, prefix): tensor for name, tensor in weights.items()}

    def files(self) -> dict[str, str]:
        """See ``Form.files``."""
        return {MODELLING.name: MODELLING.read_text(encoding="utf-8")}


def _experts(architecture: Architecture) -> dict[str, Any] | None:
    """The experts in the words of the modelling file; None if there are none."""
    moe = architecture.feed_forward
    if not isinstance(moe, MoE):
        return None
    width, context = moe.expert_width(architecture), architecture.shape.context
    return {
        "count": moe.experts,
        "top_k": moe.top_k,
        "width": width,
        "shared": moe.shared * width,
        "places": None if moe.capacity is None else moe.slots(context),
        "biased": moe.balance == "bias",
        "gates": moe.gates,
    }


FORMS.register("scaling_laboratory")(ScalingLaboratory())
