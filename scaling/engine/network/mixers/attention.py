"""Causal softmax attention with rotary positions."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from scalinglab.scaling.engine.network.layers import RMSNorm, norm, rotate
from scalinglab.scaling.engine.network.part import MIXED_BY
from scalinglab.scaling.model.architecture import Architecture


@MIXED_BY.register("attention")
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
