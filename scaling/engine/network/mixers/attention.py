"""Causal softmax attention: heads that share a key, the window, and the positions."""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from scalinglab.scaling.engine.network.layers import rotate
from scalinglab.scaling.engine.network.norms.rmsnorm import RMSNorm
from scalinglab.scaling.engine.network.part import MIXED_BY, linear, norm
from scalinglab.scaling.model.architecture import Architecture
from scalinglab.scaling.model.mixers.attention import Attention as Description


@MIXED_BY.register("attention")
class Attention(nn.Module):
    """Causal self-attention."""

    def __init__(self, architecture: Architecture, layer: int) -> None:
        super().__init__()
        shape, mixer = architecture.shape, architecture.mixer
        assert isinstance(mixer, Description)  # found by the same name
        heads = shape.head_dim
        self.heads, self.key_heads = shape.heads, mixer.key_width(architecture) // heads
        self.rotary = mixer.positions == "rotary"
        self.multiplier = architecture.attention_multiplier
        self.head_gain = nn.Parameter(torch.ones(shape.heads)) if architecture.head_gains else None
        self.query = linear(architecture, mixer, "query")
        self.key = linear(architecture, mixer, "key")
        self.value = linear(architecture, mixer, "value")
        self.out = linear(architecture, mixer, "out")
        # Logits of attention that grow without limit end runs at high LR (arXiv 2309.14322).
        self.query_norm = RMSNorm(heads) if architecture.qk_norm else nn.Identity()
        self.key_norm = RMSNorm(heads) if architecture.qk_norm else nn.Identity()
        self.value_norm = RMSNorm(heads) if architecture.value_norm else nn.Identity()
        self.inner_norm = norm(architecture, architecture.norms(layer)[0].inner)
        mask = mixer.window is not None or mixer.positions == "alibi" or mixer.within_documents
        self.mask_TT = (
            nn.Buffer(minus_distance(shape.context, mixer.window), persistent=False)
            if mask
            else None
        )
        slopes = alibi_slopes(shape.heads) if mixer.positions == "alibi" else None
        self.slopes_H11 = (
            None if slopes is None else nn.Buffer(slopes[:, None, None], persistent=False)
        )

    def forward(
        self, x_BTD: Tensor, cos_TK: Tensor, sin_TK: Tensor, documents_BT: Tensor | None = None
    ) -> Tensor:
        """The addition of attention to the residual stream, before its norm and multiplier."""
        split = (*x_BTD.shape[:-1], self.heads, x_BTD.shape[-1] // self.heads)
        shared = (*split[:-2], self.key_heads, split[-1])
        q_BHTK = self.query_norm(self.query(x_BTD).view(split)).transpose(-3, -2)
        k_BHTK = self.key_norm(self.key(x_BTD).view(shared)).transpose(-3, -2)
        v_BHTK = self.value_norm(self.value(x_BTD).view(shared)).transpose(-3, -2)
        if self.rotary:
            q_BHTK = rotate(q_BHTK, cos_TK, sin_TK)
            k_BHTK = rotate(k_BHTK, cos_TK, sin_TK)
        # In bfloat16 the norms and rotations give float32; autocast does not see this under vmap.
        q_BHTK, k_BHTK = q_BHTK.to(v_BHTK.dtype), k_BHTK.to(v_BHTK.dtype)
        if self.key_heads != self.heads:
            times = self.heads // self.key_heads
            k_BHTK, v_BHTK = (x.repeat_interleave(times, -3) for x in (k_BHTK, v_BHTK))
        y_BHTK = F.scaled_dot_product_attention(
            q_BHTK,
            k_BHTK,
            v_BHTK,
            attn_mask=self._mask(q_BHTK, documents_BT),
            is_causal=self.mask_TT is None,
            scale=self.multiplier,
        )
        if self.head_gain is not None:
            y_BHTK = y_BHTK * self.head_gain[:, None, None]
        return self.out(self.inner_norm(y_BHTK.transpose(-3, -2).reshape(x_BTD.shape)))

    def _mask(self, q_BHTK: Tensor, documents_BT: Tensor | None) -> Tensor | None:
        """The bias of the products, or a mask of the seen ones; None for plain causal attention."""
        if self.mask_TT is None:
            return None
        T = q_BHTK.shape[-2]
        mask = self.mask_TT[:T, :T]
        if documents_BT is not None:
            same_BTT = documents_BT[..., :, None] == documents_BT[..., None, :]
            mask = mask.masked_fill(~same_BTT, -math.inf).unsqueeze(-3)
        if self.slopes_H11 is None:
            return mask > -math.inf
        return (self.slopes_H11 * mask).to(q_BHTK.dtype)


def minus_distance(context: int, window: int | None) -> Tensor:
    """Distance of each token behind each other, negative; -inf where it does not see it, (T, T).

    It is there also in a model that is made on the meta device, as rotary tables are.
    """
    place = torch.arange(context, device="cpu")
    distance = place[:, None] - place
    hidden = (distance < 0) | (distance >= (context if window is None else window))
    return (-distance.float()).masked_fill(hidden, -math.inf)


def alibi_slopes(heads: int) -> Tensor:
    """2^(-8 i / H) of head i; where H is no power of two, as the authors' code fills them up."""
    power = 2 ** math.floor(math.log2(heads))
    slopes = [2 ** (-8 * i / power) for i in range(1, power + 1)]
    more = [2 ** (-4 * i / power) for i in range(1, 2 * power + 1, 2)]
    return torch.tensor((slopes + more)[:heads], device="cpu")
