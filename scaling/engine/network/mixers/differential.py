"""Differential attention: two softmax maps a head, of which the second is subtracted.

Letters in names are sizes: P pairs of heads, V the width of a pair's values, twice K.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from scalinglab.scaling.engine.network.layers import rotate
from scalinglab.scaling.engine.network.norms.rmsnorm import RMSNorm
from scalinglab.scaling.engine.network.part import MIXED_BY, linear, norm
from scalinglab.scaling.model.architecture import Architecture
from scalinglab.scaling.model.mixers.differential import START_OF_VECTORS
from scalinglab.scaling.model.mixers.differential import Differential as Description


@MIXED_BY.register("differential")
class Differential(nn.Module):
    """Causal attention by the difference of two maps."""

    def __init__(self, architecture: Architecture, layer: int) -> None:
        super().__init__()
        shape, mixer = architecture.shape, architecture.mixer
        assert isinstance(mixer, Description)  # found by the same name
        self.heads, self.head_dim = shape.heads, shape.head_dim
        self.multiplier, self.start = architecture.attention_multiplier, mixer.start_of(layer)
        self.lambda_gain = nn.Parameter(torch.full((4 * self.head_dim,), START_OF_VECTORS))
        self.query = linear(architecture, mixer, "query")
        self.key = linear(architecture, mixer, "key")
        self.value = linear(architecture, mixer, "value")
        self.out = linear(architecture, mixer, "out")
        self.query_norm = RMSNorm(self.head_dim) if architecture.qk_norm else nn.Identity()
        self.key_norm = RMSNorm(self.head_dim) if architecture.qk_norm else nn.Identity()
        self.difference_norm = RMSNorm(2 * self.head_dim)
        self.inner_norm = norm(architecture, architecture.norms(layer)[0].inner)

    def forward(self, x_BTD: Tensor, cos_TK: Tensor, sin_TK: Tensor) -> Tensor:
        """Its addition to the stream."""
        q_BHTK = rotate(self.query_norm(self._by_head(self.query(x_BTD))), cos_TK, sin_TK)
        k_BHTK = rotate(self.key_norm(self._by_head(self.key(x_BTD))), cos_TK, sin_TK)
        v_BPTV = self.value(x_BTD).unflatten(-1, (self.heads // 2, -1)).transpose(-3, -2)
        # In bfloat16 the norms and rotations give float32; autocast does not see this under vmap.
        q_BHTK, k_BHTK = q_BHTK.to(v_BPTV.dtype), k_BHTK.to(v_BPTV.dtype)
        y_BHTV = F.scaled_dot_product_attention(
            q_BHTK, k_BHTK, v_BPTV.repeat_interleave(2, -3), is_causal=True, scale=self.multiplier
        )
        first_BPTV, second_BPTV = y_BHTV.unflatten(-3, (-1, 2)).unbind(-3)
        y_BPTV = self.difference_norm(first_BPTV - self.subtracted_share() * second_BPTV)
        # With this factor gradients are as large as those of attention (the paper, on gradient flow).
        y_BTD = ((1 - self.start) * y_BPTV).transpose(-3, -2).reshape(x_BTD.shape)
        return self.out(self.inner_norm(y_BTD))

    def subtracted_share(self) -> Tensor:
        """Lambda, a scalar."""
        vectors_4K = self.lambda_gain.float().view(4, self.head_dim)
        # The paper draws the vectors, so that their products are near 0. Here all numbers begin
        # alike, and every second one of a product is taken negative: it begins at 0.
        signs_K = 1 - 2 * (torch.arange(self.head_dim, device=vectors_4K.device) % 2)
        products = (vectors_4K[0::2] * vectors_4K[1::2] * signs_K).sum(-1).exp()
        return products[0] - products[1] + self.start

    def _by_head(self, x_BTD: Tensor) -> Tensor:
        return x_BTD.unflatten(-1, (self.heads, -1)).transpose(-3, -2)
