"""The decoder-only transformer: plain PyTorch, one token sequence in, logits out.

By default pre-norm blocks with RMSNorm, rotary positions, normalised queries and keys, a
squared-ReLU MLP of width 4 d (so that a block has exactly 12 d^2 matrix weights and no rung carries
a rounding error into the fit), an untied head and no biases; ``scalinglab.scaling.model.architecture`` has the
options. The model knows nothing of packing, of devices or of training.

Shapes stand in names: B sequences, T tokens, D width, H heads, K head dimension, M width of the
MLP, V vocabulary.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from scalinglab.scaling.model.architecture import GATED, Architecture

ACTIVATION: Mapping[str, Callable[[Tensor], Tensor]] = {
    "relu2": lambda x: F.relu(x).square(),  # arXiv 2109.08668
    "relu": F.relu,
    "gelu": F.gelu,
    "swiglu": F.silu,  # these two of the gate, arXiv 2002.05202
    "geglu": F.gelu,
}


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


def norm(architecture: Architecture, wanted: bool, width: int | None = None) -> nn.Module:
    """The architecture's norm, of its width if none is given; nothing where none is wanted."""
    if not wanted:
        return nn.Identity()
    kind = LayerNorm if architecture.norm == "layernorm" else RMSNorm
    return kind(width or architecture.shape.width)


def times(x: Tensor, multiplier: float) -> Tensor:
    """x * multiplier, at no cost where it is one."""
    return x if multiplier == 1 else multiplier * x


class Attention(nn.Module):
    """Causal self-attention with rotary positions."""

    def __init__(self, architecture: Architecture, layer: int) -> None:
        super().__init__()
        shape, bias = architecture.shape, architecture.bias
        d, heads = shape.width, shape.head_dim
        self.heads = shape.heads
        self.multiplier = architecture.attention_multiplier
        self.head_gain = nn.Parameter(torch.ones(shape.heads)) if architecture.head_gains else None
        self.query = nn.Linear(d, d, bias)
        self.key = nn.Linear(d, d, bias)
        self.value = nn.Linear(d, d, bias)
        self.out = nn.Linear(d, d, bias)
        # Logits of attention that grow without limit end runs at high LR (arXiv 2309.14322).
        self.query_norm = RMSNorm(heads) if architecture.qk_norm else nn.Identity()
        self.key_norm = RMSNorm(heads) if architecture.qk_norm else nn.Identity()
        self.value_norm = RMSNorm(heads) if architecture.value_norm else nn.Identity()
        self.inner_norm = norm(architecture, architecture.norms(layer)[0].inner)

    def forward(self, x_BTD: Tensor, cos_TK: Tensor, sin_TK: Tensor) -> Tensor:
        """What attention adds to the residual stream, before its norm and multiplier."""
        split = (*x_BTD.shape[:-1], self.heads, x_BTD.shape[-1] // self.heads)
        q_BHTK = self.query_norm(self.query(x_BTD).view(split)).transpose(-3, -2)
        k_BHTK = self.key_norm(self.key(x_BTD).view(split)).transpose(-3, -2)
        v_BHTK = self.value_norm(self.value(x_BTD).view(split)).transpose(-3, -2)
        q_BHTK = rotate(q_BHTK, cos_TK, sin_TK)
        k_BHTK = rotate(k_BHTK, cos_TK, sin_TK)
        # In bfloat16 the norms and rotations give float32; autocast does not see this under vmap.
        q_BHTK, k_BHTK = q_BHTK.to(v_BHTK.dtype), k_BHTK.to(v_BHTK.dtype)
        y_BHTK = F.scaled_dot_product_attention(
            q_BHTK, k_BHTK, v_BHTK, is_causal=True, scale=self.multiplier
        )
        if self.head_gain is not None:
            y_BHTK = y_BHTK * self.head_gain[:, None, None]
        return self.out(self.inner_norm(y_BHTK.transpose(-3, -2).reshape(x_BTD.shape)))


class Block(nn.Module):
    """Attention and MLP, each a branch of the residual stream: x + F(norm(x)) by default."""

    def __init__(self, architecture: Architecture, layer: int) -> None:
        super().__init__()
        shape, bias = architecture.shape, architecture.bias
        d, m = shape.width, shape.mlp_width
        attention, mlp = architecture.norms(layer)
        self.norm_multiplier = architecture.norm_multiplier(layer)
        self.stream_multiplier = architecture.stream_multiplier
        self.branch_multiplier = architecture.residual_multiplier
        self.activation = ACTIVATION[architecture.activation]
        self.attention_norm = norm(architecture, attention.input)
        self.attention = Attention(architecture, layer)
        self.attention_output_norm = norm(architecture, attention.output)
        self.attention_sum_norm = norm(architecture, attention.sum)
        self.mlp_norm = norm(architecture, mlp.input)
        self.up = nn.Linear(d, m, bias)
        self.gate = nn.Linear(d, m, bias) if architecture.activation in GATED else None
        self.mlp_inner_norm = norm(architecture, mlp.inner, m)
        self.down = nn.Linear(m, d, bias)
        self.mlp_output_norm = norm(architecture, mlp.output)
        self.mlp_sum_norm = norm(architecture, mlp.sum)

    def forward(self, x_BTD: Tensor, cos_TK: Tensor, sin_TK: Tensor) -> Tensor:
        """The residual stream after this block."""
        normed_BTD = times(self.attention_norm(x_BTD), self.norm_multiplier)
        branch_BTD = self.attention_output_norm(self.attention(normed_BTD, cos_TK, sin_TK))
        x_BTD = self.attention_sum_norm(self._add(x_BTD, branch_BTD))
        normed_BTD = times(self.mlp_norm(x_BTD), self.norm_multiplier)
        branch_BTD = self.mlp_output_norm(self._mlp(normed_BTD))
        return self.mlp_sum_norm(self._add(x_BTD, branch_BTD))

    def _mlp(self, x_BTD: Tensor) -> Tensor:
        if self.gate is None:
            hidden_BTM = self.activation(self.up(x_BTD))
        else:
            hidden_BTM = self.activation(self.gate(x_BTD)) * self.up(x_BTD)
        return self.down(self.mlp_inner_norm(hidden_BTM))

    def _add(self, x_BTD: Tensor, branch_BTD: Tensor) -> Tensor:
        return times(x_BTD, self.stream_multiplier) + times(branch_BTD, self.branch_multiplier)


class Transformer(nn.Module):
    """Tokens (B, T) to logits (B, T, V)."""

    def __init__(self, architecture: Architecture) -> None:
        super().__init__()
        shape = architecture.shape
        self.embedding_multiplier = architecture.embedding_multiplier
        self.head_multiplier = architecture.head_multiplier
        self.softcap = architecture.logit_softcap
        self.embedding = nn.Embedding(shape.vocab, shape.width)
        self.embedding_norm = norm(architecture, architecture.embedding_scale == "norm")
        self.blocks = nn.ModuleList(Block(architecture, i) for i in range(shape.depth))
        self.norm = norm(architecture, architecture.final_norm)
        tied = architecture.tied_head
        self.head = None if tied else nn.Linear(shape.width, shape.vocab, bias=False)
        cos_TK, sin_TK = rotary_table(shape.context, shape.head_dim, architecture.rope_base)
        self.cos_TK = nn.Buffer(cos_TK, persistent=False)
        self.sin_TK = nn.Buffer(sin_TK, persistent=False)

    def forward(self, tokens_BT: Tensor) -> Tensor:
        """Logits (B, T, V)."""
        return self.logits(self.hidden(tokens_BT))

    def hidden(self, tokens_BT: Tensor) -> Tensor:
        """The residual stream after the last block, (B, T, D)."""
        T = tokens_BT.shape[-1]
        cos_TK, sin_TK = self.cos_TK[:T], self.sin_TK[:T]
        x_BTD = self.embedding_norm(times(self.embedding(tokens_BT), self.embedding_multiplier))
        for block in self.blocks:
            x_BTD = block(x_BTD, cos_TK, sin_TK)
        return x_BTD

    def logits(self, x_BTD: Tensor) -> Tensor:
        """Logits (B, T, V) of the stream after the last block."""
        x_BTD = self.norm(x_BTD)
        if self.head is None:
            z_BTV = F.linear(x_BTD, self.embedding.weight)
        else:
            z_BTV = self.head(x_BTD)
        z_BTV = times(z_BTV, self.head_multiplier)
        # A soft cap bounds logits smoothly, as in Gemma 2 (arXiv 2408.00118).
        return z_BTV if self.softcap is None else self.softcap * torch.tanh(z_BTV / self.softcap)


def rotary_table(context: int, head_dim: int, base: float) -> tuple[Tensor, Tensor]:
    """Cosines and sines (T, K) of rotary position embedding (arXiv 2104.09864).

    They are there also in a model that is made on the meta device: they are no parameters.
    """
    # In float32 the angle of position t is off by 6e-8 t: late positions would be blurred.
    arange = partial(torch.arange, dtype=torch.float64, device="cpu")
    frequencies = base ** (-arange(0, head_dim, 2) / head_dim)
    angles = torch.outer(arange(context), frequencies)
    angles_TK = torch.cat([angles, angles], dim=-1)
    return angles_TK.cos().float(), angles_TK.sin().float()


def rotate(x: Tensor, cos_TK: Tensor, sin_TK: Tensor) -> Tensor:
    """Turn each pair (x_i, x_{i+K/2}) by its position's angle."""
    low, high = x.chunk(2, dim=-1)
    return x * cos_TK + torch.cat([-high, low], dim=-1) * sin_TK
