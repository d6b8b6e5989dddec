"""The transformer of the scaling-law laboratory, for Hugging Face's transformers.

This file stands beside exported weights and needs torch and transformers alone:
AutoModelForCausalLM.from_pretrained(FOLDER, trust_remote_code=True) imports it. The configuration
has every multiplier as a number, so nothing here depends on how the model was parametrized or
trained.

Shapes stand in names: B sequences, T tokens, D width, H heads, K head dimension, V vocabulary.
"""

from __future__ import annotations

import math
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from transformers import GenerationMixin, PreTrainedConfig, PreTrainedModel
from transformers.modeling_outputs import CausalLMOutput

ACTIVATION = {
    "relu2": lambda x: F.relu(x).square(),
    "relu": F.relu,
    "gelu": F.gelu,
    "swiglu": F.silu,
    "geglu": F.gelu,
}
GATED = ("swiglu", "geglu")


class ScalingLaboratoryConfig(PreTrainedConfig):
    """What the network computes, every multiplier as a number; norms and multipliers by layer."""

    model_type = "scaling_laboratory"

    def __init__(
        self,
        vocab_size: int = 256,
        hidden_size: int = 64,
        num_hidden_layers: int = 2,
        num_attention_heads: int = 4,
        num_key_value_heads: int = 4,
        intermediate_size: int = 256,
        max_position_embeddings: int = 128,
        activation: str = "relu2",
        norm: str = "rmsnorm",
        norms: list[list[dict[str, bool]]] | None = None,
        norm_multipliers: list[float] | None = None,
        embedding_norm: bool = False,
        final_norm: bool = True,
        qk_norm: bool = True,
        value_norm: bool = False,
        head_gains: bool = False,
        parallel: bool = False,
        bias: bool = False,
        loops: int = 1,
        positions: str = "rotary",
        rope_base: float = 10_000.0,
        window: int | None = None,
        rank: int | None = None,
        softcap: float | None = None,
        embedding_multiplier: float = 1.0,
        attention_multiplier: float = 1.0,
        stream_multiplier: float = 1.0,
        branch_multiplier: float = 1.0,
        head_multiplier: float = 1.0,
        **others: Any,
    ) -> None:
        given = {k: v for k, v in locals().items() if k not in ("self", "others", "__class__")}
        for key, value in given.items():
            setattr(self, key, value)
        super().__init__(**others)


class RMSNorm(nn.Module):
    """x / rms(x) * gain over the last axis."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.gain = nn.Parameter(torch.ones(width))

    def forward(self, x: Tensor) -> Tensor:
        """See the class."""
        return F.rms_norm(x, x.shape[-1:], eps=1e-6) * self.gain


class LayerNorm(nn.Module):
    """(x - mean(x)) / deviation(x) * gain + bias over the last axis."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.gain = nn.Parameter(torch.ones(width))
        self.bias = nn.Parameter(torch.zeros(width))

    def forward(self, x: Tensor) -> Tensor:
        """See the class."""
        return F.layer_norm(x, x.shape[-1:], self.gain, self.bias, eps=1e-6)


def norm(config: Any, wanted: bool, width: int | None = None) -> nn.Module:
    """The network's norm where one is wanted."""
    if not wanted:
        return nn.Identity()
    kind = LayerNorm if config.norm == "layernorm" else RMSNorm
    return kind(width or config.hidden_size)


def rotate(x: Tensor, cos_TK: Tensor, sin_TK: Tensor) -> Tensor:
    """Turn each pair (x_i, x_{i+K/2}) by its position's angle (arXiv 2104.09864)."""
    low, high = x.chunk(2, dim=-1)
    return x * cos_TK + torch.cat([-high, low], dim=-1) * sin_TK


class Attention(nn.Module):
    """Causal self-attention, heads in groups that share keys and values."""

    def __init__(self, config: Any, inner: bool) -> None:
        super().__init__()
        d, heads = config.hidden_size, config.num_attention_heads
        k = d // heads
        shared = k * config.num_key_value_heads
        self.config, self.heads, self.key_heads = config, heads, config.num_key_value_heads
        self.head_gain = nn.Parameter(torch.ones(heads)) if config.head_gains else None
        self.query = nn.Linear(d, d, config.bias)
        self.key = nn.Linear(d, shared, config.bias)
        self.value = nn.Linear(d, shared, config.bias)
        self.out = nn.Linear(d, d, config.bias)
        self.query_norm = RMSNorm(k) if config.qk_norm else nn.Identity()
        self.key_norm = RMSNorm(k) if config.qk_norm else nn.Identity()
        self.value_norm = RMSNorm(k) if config.value_norm else nn.Identity()
        self.inner_norm = norm(config, inner)

    def forward(self, x_BTD: Tensor, cos_TK: Tensor, sin_TK: Tensor, mask: Tensor) -> Tensor:
        """What attention adds to the residual stream."""
        split = (*x_BTD.shape[:-1], self.heads, -1)
        shared = (*x_BTD.shape[:-1], self.key_heads, x_BTD.shape[-1] // self.heads)
        q_BHTK = self.query_norm(self.query(x_BTD).view(split)).transpose(-3, -2)
        k_BHTK = self.key_norm(self.key(x_BTD).view(shared)).transpose(-3, -2)
        v_BHTK = self.value_norm(self.value(x_BTD).view(shared)).transpose(-3, -2)
        if self.config.positions == "rotary":
            q_BHTK, k_BHTK = rotate(q_BHTK, cos_TK, sin_TK), rotate(k_BHTK, cos_TK, sin_TK)
        q_BHTK, k_BHTK = q_BHTK.to(v_BHTK.dtype), k_BHTK.to(v_BHTK.dtype)
        times = self.heads // self.key_heads
        k_BHTK, v_BHTK = (x.repeat_interleave(times, -3) for x in (k_BHTK, v_BHTK))
        y_BHTK = F.scaled_dot_product_attention(
            q_BHTK,
            k_BHTK,
            v_BHTK,
            attn_mask=mask.to(q_BHTK.dtype),
            scale=self.config.attention_multiplier,
        )
        if self.head_gain is not None:
            y_BHTK = y_BHTK * self.head_gain[:, None, None]
        return self.out(self.inner_norm(y_BHTK.transpose(-3, -2).reshape(x_BTD.shape)))


class Block(nn.Module):
    """Attention and a feed-forward, each a branch of the residual stream."""

    def __init__(self, config: Any, layer: int) -> None:
        super().__init__()
        of_attention, of_mlp = config.norms[layer]
        d, m, bias, rank = config.hidden_size, config.intermediate_size, config.bias, config.rank
        self.config, self.norm_multiplier = config, config.norm_multipliers[layer]
        self.gated = config.activation in GATED
        self.activation = ACTIVATION[config.activation]
        self.attention_norm = norm(config, of_attention["input"])
        self.attention = Attention(config, of_attention["inner"])
        self.attention_output_norm = norm(config, of_attention["output"])
        self.attention_sum_norm = norm(config, of_attention["sum"])
        self.mlp_norm = norm(config, of_mlp["input"])
        # Of a low rank each matrix is a product of two.
        for name, into, out in (("up", d, m), ("gate", d, m), ("down", m, d)):
            if name == "gate" and not self.gated:
                continue
            if rank is None:
                self.add_module(name, nn.Linear(into, out, bias))
            else:
                self.add_module(f"{name}_in", nn.Linear(into, rank, bias=False))
                self.add_module(name, nn.Linear(rank, out, bias=False))
        self.mlp_inner_norm = norm(config, of_mlp["inner"], m)
        self.mlp_output_norm = norm(config, of_mlp["output"])
        self.mlp_sum_norm = norm(config, of_mlp["sum"])

    def forward(self, x_BTD: Tensor, cos_TK: Tensor, sin_TK: Tensor, mask: Tensor) -> Tensor:
        """The residual stream after this block."""
        normed_BTD = self.attention_norm(x_BTD) * self.norm_multiplier
        branch_BTD = self.attention_output_norm(self.attention(normed_BTD, cos_TK, sin_TK, mask))
        x_BTD = self.attention_sum_norm(self._add(x_BTD, branch_BTD))
        if not self.config.parallel:
            normed_BTD = self.mlp_norm(x_BTD) * self.norm_multiplier
        hidden_BTM = self._times("up", normed_BTD)
        if self.gated:
            hidden_BTM = self.activation(self._times("gate", normed_BTD)) * hidden_BTM
        else:
            hidden_BTM = self.activation(hidden_BTM)
        branch_BTD = self._times("down", self.mlp_inner_norm(hidden_BTM))
        return self.mlp_sum_norm(self._add(x_BTD, self.mlp_output_norm(branch_BTD)))

    def _times(self, name: str, x: Tensor) -> Tensor:
        if self.config.rank is not None:
            x = getattr(self, f"{name}_in")(x)
        return getattr(self, name)(x)

    def _add(self, x_BTD: Tensor, branch_BTD: Tensor) -> Tensor:
        return x_BTD * self.config.stream_multiplier + branch_BTD * self.config.branch_multiplier


class ScalingLaboratoryForCausalLM(PreTrainedModel, GenerationMixin):
    """Tokens (B, T) to logits (B, T, V)."""

    config_class = ScalingLaboratoryConfig
    base_model_prefix = ""
    _tied_weights_keys = {"head.weight": "embedding.weight"}  # noqa: RUF012 - as transformers has it

    def __init__(self, config: Any) -> None:
        super().__init__(config)
        self.embedding: nn.Module = nn.Embedding(config.vocab_size, config.hidden_size)
        self.embedding_norm = norm(config, config.embedding_norm)
        self.blocks = nn.ModuleList(Block(config, i) for i in range(config.num_hidden_layers))
        self.norm = norm(config, config.final_norm)
        self.head: nn.Module = nn.Linear(config.hidden_size, config.vocab_size, bias=False)
        self.post_init()

    def _init_weights(self, module: nn.Module) -> None:
        """Nothing: the weights are trained ones."""

    def get_input_embeddings(self) -> nn.Module:
        """What transformers asks for."""
        return self.embedding

    def set_input_embeddings(self, value: nn.Module) -> None:
        """What transformers sets."""
        self.embedding = value

    def get_output_embeddings(self) -> nn.Module:
        """What transformers asks for."""
        return self.head

    def set_output_embeddings(self, new_embeddings: nn.Module) -> None:
        """What transformers sets."""
        self.head = new_embeddings

    def forward(
        self,
        input_ids: Tensor,
        attention_mask: Tensor | None = None,
        labels: Tensor | None = None,
        **ignored: Any,
    ) -> CausalLMOutput:
        """Logits (B, T, V), and the mean loss in nats a token where labels are given."""
        config = self.config
        cos_TK, sin_TK = self._rotary_table(input_ids.shape[1], input_ids.device)
        mask = self._mask(input_ids.shape[1], attention_mask, input_ids.device)
        x_BTD = self.embedding_norm(self.embedding(input_ids) * config.embedding_multiplier)
        for _ in range(config.loops):
            for block in self.blocks:
                x_BTD = block(x_BTD, cos_TK.to(x_BTD.dtype), sin_TK.to(x_BTD.dtype), mask)
        logits_BTV = self.head(self.norm(x_BTD)) * config.head_multiplier
        if config.softcap is not None:
            logits_BTV = config.softcap * torch.tanh(logits_BTV / config.softcap)
        loss = None
        if labels is not None:
            flat = logits_BTV[:, :-1].flatten(0, 1).float()
            loss = F.cross_entropy(flat, labels[:, 1:].flatten(), ignore_index=-100)
        return CausalLMOutput(loss=loss, logits=logits_BTV)

    def prepare_inputs_for_generation(
        self, input_ids: Tensor, attention_mask: Tensor | None = None, **ignored: Any
    ) -> dict[str, Any]:
        """The whole sequence each time: there is no cache of keys and values."""
        return {"input_ids": input_ids, "attention_mask": attention_mask}

    def _rotary_table(self, length: int, device: torch.device) -> tuple[Tensor, Tensor]:
        """Cosines and sines (T, K); angles in float64, which float32 would blur."""
        head_dim = self.config.hidden_size // self.config.num_attention_heads
        axis = torch.arange(0, head_dim, 2, dtype=torch.float64)
        frequencies = self.config.rope_base ** (-axis / head_dim)
        angles = torch.outer(torch.arange(length, dtype=torch.float64), frequencies)
        angles_TK = torch.cat([angles, angles], dim=-1)
        return angles_TK.cos().float().to(device), angles_TK.sin().float().to(device)

    def _mask(self, length: int, attention_mask: Tensor | None, device: torch.device) -> Tensor:
        """What is added to the products of queries and keys, (T, T), (H, T, T) or (B, 1|H, T, T)."""
        place = torch.arange(length, device=device)
        distance = place[:, None] - place
        window = length if self.config.window is None else self.config.window
        mask = torch.zeros(length, length, device=device)
        if self.config.positions == "alibi":
            heads = self.config.num_attention_heads
            slopes = torch.tensor(alibi_slopes(heads), device=device)
            mask = -slopes[:, None, None] * distance.float()
        mask = mask.masked_fill((distance < 0) | (distance >= window), -math.inf)
        if attention_mask is None:
            return mask
        padding = (attention_mask == 0)[:, None, None, :]
        mask = (
            mask.masked_fill(padding, -math.inf)
            if mask.dim() == 3
            else mask + torch.where(padding, -math.inf, 0.0)
        )
        # A padding token sees itself: a row of nothing would be no number.
        return mask.masked_fill(torch.eye(length, dtype=torch.bool, device=device), 0.0)


def alibi_slopes(heads: int) -> list[float]:
    """2^(-8 i / H) of head i; where H is no power of two, as the authors' code fills them up."""
    power = 2 ** math.floor(math.log2(heads))
    slopes = [2 ** (-8 * i / power) for i in range(1, power + 1)]
    more = [2 ** (-4 * i / power) for i in range(1, 2 * power + 1, 2)]
    return (slopes + more)[:heads]
