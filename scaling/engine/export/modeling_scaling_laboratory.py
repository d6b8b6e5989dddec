"""The transformer of the scaling-law laboratory, for Hugging Face's transformers.

This file stands beside exported weights and needs torch and transformers alone:
AutoModelForCausalLM.from_pretrained(FOLDER, trust_remote_code=True) imports it. The configuration
has every multiplier as a number, so nothing here depends on how the model was parametrized or
trained.

Shapes stand in names: B sequences, T tokens, D width, H heads, K head dimension, V vocabulary.
"""

from __future__ import annotations

import math
from collections.abc import Callable
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
    """The network's configuration, every multiplier as a number; norms and multipliers by layer."""

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
        experts: dict[str, Any] | None = None,
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
        """The addition of attention to the residual stream."""
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


class Matrices(nn.Module):
    """A matrix of each expert, or a bias, under the name that it has in a checkpoint."""

    def __init__(self, name: str, *size: int) -> None:
        super().__init__()
        self.register_parameter(name, nn.Parameter(torch.zeros(size)))


class Experts(nn.Module):
    """Feed-forwards of which each token passes through those that a router chooses.

    An expert takes as many tokens of a sequence as it has places, in their order; the rest is
    dropped (GShard, arXiv 2006.16668). Padding takes no place. E experts, S choices of a token,
    C places, M hidden width.
    """

    def __init__(self, config: Any) -> None:
        super().__init__()
        own, d = config.experts, config.hidden_size
        count, m = own["count"], own["width"]
        self.top_k, self.places = own["top_k"], own["places"]
        self.sigmoid = own.get("gates") == "sigmoid"
        self.activation, self.gated = ACTIVATION[config.activation], config.activation in GATED
        self.router = Matrices("weight", count, d)
        self.balance = Matrices("bias", count) if own["biased"] else None
        self.experts, self.shared = nn.Module(), nn.Module() if own["shared"] else None
        for name in ("up", "gate", "down") if self.gated else ("up", "down"):
            sizes = (d, m) if name == "down" else (m, d)
            self.experts.add_module(name, Matrices("weight", count, *sizes))
            if self.shared is not None:
                into, out = (own["shared"], d) if name == "down" else (d, own["shared"])
                self.shared.add_module(name, nn.Linear(into, out, bias=False))

    def forward(self, x_BTD: Tensor, kept_BT: Tensor | None) -> Tensor:
        """The addition of the experts to the residual stream."""
        logits_BTE = F.linear(x_BTD.float(), self.router.get_parameter("weight").float())
        scores_BTE = logits_BTE.sigmoid() if self.sigmoid else logits_BTE.softmax(-1)
        ranked_BTE = scores_BTE if self.sigmoid else logits_BTE
        if self.balance is not None:
            ranked_BTE = ranked_BTE + self.balance.get_parameter("bias")
        chosen_BTSE = F.one_hot(ranked_BTE.topk(self.top_k, dim=-1).indices, ranked_BTE.shape[-1])
        chosen_BTSE = chosen_BTSE.to(logits_BTE.dtype)
        weights_BTS = (scores_BTE[..., None, :] * chosen_BTSE).sum(-1)
        if self.top_k > 1:
            weights_BTS = weights_BTS / weights_BTS.sum(-1, keepdim=True)
        if kept_BT is not None:
            chosen_BTSE = chosen_BTSE * kept_BT[..., None, None].to(chosen_BTSE.dtype)
        if self.places is not None:
            flat_BNE = chosen_BTSE.flatten(1, 2)
            number_BNE = flat_BNE.cumsum(1) - flat_BNE
            chosen_BTSE = (flat_BNE * (number_BNE < self.places)).view_as(chosen_BTSE)
        weights_BTE = torch.einsum("btse,bts->bte", chosen_BTSE, weights_BTS).to(x_BTD.dtype)
        y_BETD = self._computed(x_BTD[:, None], lambda name: getattr(self.experts, name).weight.mT)
        y_BTD = torch.einsum("bte,betd->btd", weights_BTE, y_BETD)
        if self.shared is not None:
            y_BTD = y_BTD + self._computed(x_BTD, lambda name: getattr(self.shared, name).weight.mT)
        return y_BTD

    def _computed(self, x: Tensor, matrix: Callable[[str], Tensor]) -> Tensor:
        hidden = x @ matrix("up")
        if self.gated:
            return (self.activation(x @ matrix("gate")) * hidden) @ matrix("down")
        return self.activation(hidden) @ matrix("down")


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
        self.moe = None if config.experts is None else Experts(config)
        # Of a low rank each matrix is a product of two.
        for name, into, out in (("up", d, m), ("gate", d, m), ("down", m, d)):
            if self.moe is not None or (name == "gate" and not self.gated):
                continue
            if rank is None:
                self.add_module(name, nn.Linear(into, out, bias))
            else:
                self.add_module(f"{name}_in", nn.Linear(into, rank, bias=False))
                self.add_module(name, nn.Linear(rank, out, bias=False))
        self.mlp_inner_norm = norm(config, of_mlp["inner"], m)
        self.mlp_output_norm = norm(config, of_mlp["output"])
        self.mlp_sum_norm = norm(config, of_mlp["sum"])

    def forward(
        self,
        x_BTD: Tensor,
        cos_TK: Tensor,
        sin_TK: Tensor,
        mask: Tensor,
        kept_BT: Tensor | None = None,
    ) -> Tensor:
        """The residual stream after this block."""
        normed_BTD = self.attention_norm(x_BTD) * self.norm_multiplier
        branch_BTD = self.attention_output_norm(self.attention(normed_BTD, cos_TK, sin_TK, mask))
        x_BTD = self.attention_sum_norm(self._add(x_BTD, branch_BTD))
        if not self.config.parallel:
            normed_BTD = self.mlp_norm(x_BTD) * self.norm_multiplier
        branch_BTD = self._fed(normed_BTD) if self.moe is None else self.moe(normed_BTD, kept_BT)
        return self.mlp_sum_norm(self._add(x_BTD, self.mlp_output_norm(branch_BTD)))

    def _fed(self, x_BTD: Tensor) -> Tensor:
        hidden_BTM = self._times("up", x_BTD)
        if self.gated:
            hidden_BTM = self.activation(self._times("gate", x_BTD)) * hidden_BTM
        else:
            hidden_BTM = self.activation(hidden_BTM)
        return self._times("down", self.mlp_inner_norm(hidden_BTM))

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
    # As transformers declares it: a dictionary of the class.
    _tied_weights_keys = {"head.weight": "embedding.weight"}  # noqa: RUF012

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
                tables = cos_TK.to(x_BTD.dtype), sin_TK.to(x_BTD.dtype)
                x_BTD = block(x_BTD, *tables, mask, attention_mask)
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
        """The bias of the products of queries and keys, (T, T), (H, T, T) or (B, 1|H, T, T)."""
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
