"""The decoder-only transformer: plain PyTorch, one token sequence in, logits out.

Pre-norm blocks with RMSNorm, rotary positions, normalised queries and keys, a squared-ReLU MLP
of width 4 d (so that a block has exactly 12 d^2 matrix weights and no rung carries a rounding
error into the fit), an untied head and no biases. The model knows nothing of packing, of devices
or of training.

Shapes stand in names: B sequences, T tokens, D width, H heads, K head dimension, V vocabulary.
"""

from __future__ import annotations

import hashlib

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from scaling.architecture import Architecture
from scaling.counts import Size, tensor_sizes
from scaling.parametrization import VECTORS, TensorRule, tensor_rules


class RMSNorm(nn.Module):
    """x / rms(x) * gain over the last axis."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.gain = nn.Parameter(torch.ones(width))

    def forward(self, x: Tensor) -> Tensor:
        return F.rms_norm(x, x.shape[-1:], eps=1e-6) * self.gain


class Attention(nn.Module):
    """Causal self-attention with rotary positions and normalised queries and keys."""

    def __init__(self, architecture: Architecture) -> None:
        super().__init__()
        shape = architecture.shape
        d = shape.width
        self.heads = shape.heads
        self.multiplier = architecture.attention_multiplier
        self.query = nn.Linear(d, d, bias=False)
        self.key = nn.Linear(d, d, bias=False)
        self.value = nn.Linear(d, d, bias=False)
        self.out = nn.Linear(d, d, bias=False)
        self.query_norm = RMSNorm(shape.head_dim)
        self.key_norm = RMSNorm(shape.head_dim)

    def forward(self, x_BTD: Tensor, cos_TK: Tensor, sin_TK: Tensor) -> Tensor:
        split = (*x_BTD.shape[:-1], self.heads, x_BTD.shape[-1] // self.heads)
        q_BHTK = self.query_norm(self.query(x_BTD).view(split)).transpose(-3, -2)
        k_BHTK = self.key_norm(self.key(x_BTD).view(split)).transpose(-3, -2)
        v_BHTK = self.value(x_BTD).view(split).transpose(-3, -2)
        q_BHTK = rotate(q_BHTK, cos_TK, sin_TK)
        k_BHTK = rotate(k_BHTK, cos_TK, sin_TK)
        # In bfloat16 the norms and rotations give float32; autocast does not see this under vmap.
        q_BHTK, k_BHTK = q_BHTK.to(v_BHTK.dtype), k_BHTK.to(v_BHTK.dtype)
        y_BHTK = F.scaled_dot_product_attention(
            q_BHTK, k_BHTK, v_BHTK, is_causal=True, scale=self.multiplier
        )
        return self.out(y_BHTK.transpose(-3, -2).reshape(x_BTD.shape))


class Block(nn.Module):
    """x + r attention(norm(x)), then x + r mlp(norm(x)), r = 1 but for the parametrization."""

    def __init__(self, architecture: Architecture) -> None:
        super().__init__()
        shape = architecture.shape
        self.multiplier = architecture.residual_multiplier
        self.attention_norm = RMSNorm(shape.width)
        self.attention = Attention(architecture)
        self.mlp_norm = RMSNorm(shape.width)
        self.up = nn.Linear(shape.width, shape.mlp_width, bias=False)
        self.down = nn.Linear(shape.mlp_width, shape.width, bias=False)

    def forward(self, x_BTD: Tensor, cos_TK: Tensor, sin_TK: Tensor) -> Tensor:
        x_BTD = self._add(x_BTD, self.attention(self.attention_norm(x_BTD), cos_TK, sin_TK))
        return self._add(x_BTD, self.down(F.relu(self.up(self.mlp_norm(x_BTD))).square()))

    def _add(self, x_BTD: Tensor, branch_BTD: Tensor) -> Tensor:
        return x_BTD + (branch_BTD if self.multiplier == 1 else self.multiplier * branch_BTD)


class Transformer(nn.Module):
    """Tokens (B, T) to logits (B, T, V)."""

    def __init__(self, architecture: Architecture) -> None:
        super().__init__()
        shape = architecture.shape
        self.multiplier = architecture.head_multiplier
        self.embedding = nn.Embedding(shape.vocab, shape.width)
        self.blocks = nn.ModuleList(Block(architecture) for _ in range(shape.depth))
        self.norm = RMSNorm(shape.width)
        self.head = nn.Linear(shape.width, shape.vocab, bias=False)
        cos_TK, sin_TK = rotary_table(shape.context, shape.head_dim, architecture.rope_base)
        self.register_buffer("cos_TK", cos_TK, persistent=False)
        self.register_buffer("sin_TK", sin_TK, persistent=False)

    def forward(self, tokens_BT: Tensor) -> Tensor:
        return self.logits(self.hidden(tokens_BT))

    def hidden(self, tokens_BT: Tensor) -> Tensor:
        """The residual stream after the last block, (B, T, D)."""
        T = tokens_BT.shape[-1]
        cos_TK, sin_TK = self.cos_TK[:T], self.sin_TK[:T]
        x_BTD = self.embedding(tokens_BT)
        for block in self.blocks:
            x_BTD = block(x_BTD, cos_TK, sin_TK)
        return x_BTD

    def logits(self, x_BTD: Tensor) -> Tensor:
        """Logits (B, T, V) of the stream after the last block."""
        logits_BTV = self.head(self.norm(x_BTD))
        return logits_BTV if self.multiplier == 1 else self.multiplier * logits_BTV


def rotary_table(context: int, head_dim: int, base: float) -> tuple[Tensor, Tensor]:
    """Cosines and sines (T, K) of rotary position embedding (arXiv 2104.09864)."""
    frequencies = base ** (-torch.arange(0, head_dim, 2, dtype=torch.float64) / head_dim)
    angles = torch.outer(torch.arange(context, dtype=torch.float64), frequencies)
    angles_TK = torch.cat([angles, angles], dim=-1)
    return angles_TK.cos().float(), angles_TK.sin().float()


def rotate(x: Tensor, cos_TK: Tensor, sin_TK: Tensor) -> Tensor:
    """Turn each pair (x_i, x_{i+K/2}) by its position's angle."""
    low, high = x.chunk(2, dim=-1)
    return x * cos_TK + torch.cat([-high, low], dim=-1) * sin_TK


def initial_weights(architecture: Architecture, seed: int) -> dict[str, Tensor]:
    """Initial parameters, each a pure function of (seed, name, architecture).

    Gains are one, biases zero and matrices normal, their scale by ``scaling.parametrization``.
    A generator per name (Philox, keyed by a hash) makes the weights independent of the device,
    of the order of creation and of what else trains in the same process.
    """
    rules = tensor_rules(architecture, "adamw")  # the init is the same for all optimizers
    sizes = tensor_sizes(architecture)
    return {name: _initial_weight(name, sizes[name], rule, seed) for name, rule in rules.items()}


def _initial_weight(name: str, size: Size, rule: TensorRule, seed: int) -> Tensor:
    if rule.role in VECTORS:
        return torch.ones(size) if rule.role == "gain" else torch.zeros(size)
    key = int.from_bytes(hashlib.sha256(f"{seed}:{name}".encode()).digest()[:16], "little")
    normal = np.random.Generator(np.random.Philox(key=key)).standard_normal(size)
    return torch.from_numpy((rule.init_std * normal).astype(np.float32))
