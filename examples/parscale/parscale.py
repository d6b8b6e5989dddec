"""ParScale: P streams through one transformer, each with its prefix (arXiv 2505.10475).

Every stream passes the same blocks. What makes them differ is a prefix of each stream: keys and
values of its own in every layer, before those of the tokens. What they give is added by weights
that a small network reads from all of them, token by token; no weight falls below `smooth` / P,
without which one stream would take all (the paper's section 3.1). One stream alone has neither: it is the
plain transformer.

Shapes stand in names: P streams, B sequences, T tokens, S tokens of a prefix, D width, H heads, K
head dimension.
"""

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from scalinglab import register
from scalinglab.scaling.engine.network.layers import rotary_table, rotate


class Attention(nn.Module):
    """Causal attention, each stream with a prefix that all of its tokens see."""

    def __init__(self, width: int, heads: int, streams: int, prefix: int) -> None:
        super().__init__()
        self.heads = heads
        self.inputs = nn.ModuleList(nn.Linear(width, width, bias=False) for _ in range(3))
        self.out = nn.Linear(width, width, bias=False)
        self.query_norm, self.key_norm = (nn.RMSNorm(width // heads) for _ in range(2))
        size = (streams, 1, heads, prefix, width // heads)
        self.prefix_keys = nn.Parameter(torch.randn(size)) if streams > 1 else None
        # Small: a prefix takes attention from the first step on, and adds nothing yet.
        self.prefix_values = nn.Parameter(0.02 * torch.randn(size)) if streams > 1 else None

    def forward(self, x_PBTD: Tensor, cos_TK: Tensor, sin_TK: Tensor) -> Tensor:
        """What it adds to the streams."""
        T = x_PBTD.shape[-2]
        q, k, v = (m(x_PBTD).unflatten(-1, (self.heads, -1)).transpose(-3, -2) for m in self.inputs)
        q, k = self.query_norm(q), self.key_norm(k)
        scores = rotate(q, cos_TK, sin_TK) @ rotate(k, cos_TK, sin_TK).mT / math.sqrt(k.shape[-1])
        later = torch.ones(T, T, dtype=torch.bool, device=x_PBTD.device).triu(1)
        scores = scores.masked_fill(later, -math.inf)
        if self.prefix_keys is None or self.prefix_values is None:
            y = scores.softmax(-1) @ v
        else:  # a prefix has no position: queries meet its keys as they are
            of_prefix = q @ self.key_norm(self.prefix_keys).mT / math.sqrt(k.shape[-1])
            of_prefix, of_tokens = (
                torch.cat([of_prefix, scores], -1).softmax(-1).split([of_prefix.shape[-1], T], -1)
            )
            y = of_prefix @ self.prefix_values + of_tokens @ v
        return self.out(y.transpose(-3, -2).flatten(-2))


class Block(nn.Module):
    """Attention and a feed-forward, each added to the streams."""

    def __init__(self, width: int, heads: int, streams: int, prefix: int) -> None:
        super().__init__()
        self.attention_norm, self.norm = nn.RMSNorm(width), nn.RMSNorm(width)
        self.attention = Attention(width, heads, streams, prefix)
        self.up = nn.Linear(width, 4 * width, bias=False)
        self.down = nn.Linear(4 * width, width, bias=False)

    def forward(self, x_PBTD: Tensor, cos_TK: Tensor, sin_TK: Tensor) -> Tensor:
        """The streams after both."""
        x_PBTD = x_PBTD + self.attention(self.attention_norm(x_PBTD), cos_TK, sin_TK)
        return x_PBTD + self.down(F.relu(self.up(self.norm(x_PBTD))).square())


class Sum(nn.Module):
    """Streams (P, B, T, D) to one, by weights that follow from all of them."""

    def __init__(self, width: int, streams: int, smooth: float) -> None:
        super().__init__()
        self.smooth = smooth
        self.up = nn.Linear(streams * width, width, bias=False)
        self.down = nn.Linear(width, streams, bias=False)

    def forward(self, x_PBTD: Tensor) -> Tensor:
        """See the class."""
        side_by_side = x_PBTD.permute(1, 2, 0, 3).flatten(-2)
        shares_BTP = self.down(F.silu(self.up(side_by_side))).softmax(-1)
        shares_BTP = (1 - self.smooth) * shares_BTP + self.smooth / len(x_PBTD)
        return (x_PBTD * shares_BTP.permute(2, 0, 1)[..., None]).sum(0)


@register.model("parscale")
class ParScale(nn.Module):
    """Tokens (B, T) to logits (B, T, V)."""

    def __init__(
        self,
        vocab: int,
        context: int,
        width: int = 64,
        depth: int = 2,
        head_dim: int = 16,
        streams: int = 2,
        prefix: int = 8,
        smooth: float = 0.1,
    ) -> None:
        super().__init__()
        heads = width // head_dim
        # A prefix is looked up, not passed: it does not decay, and its rate follows no width.
        self.roles = {"blocks.*.prefix_*": "embedding"} if streams > 1 else {}
        self.streams = streams
        self.embedding = nn.Embedding(vocab, width)
        self.blocks = nn.ModuleList(Block(width, heads, streams, prefix) for _ in range(depth))
        self.norm = nn.RMSNorm(width)
        self.sum = Sum(width, streams, smooth) if streams > 1 else None
        self.head = nn.Linear(width, vocab, bias=False)
        cos_TK, sin_TK = rotary_table(context, head_dim, 10_000.0)
        self.cos_TK = nn.Buffer(cos_TK, persistent=False)
        self.sin_TK = nn.Buffer(sin_TK, persistent=False)

    def forward(self, tokens_BT: Tensor) -> Tensor:
        """Logits."""
        T = tokens_BT.shape[-1]
        x_BTD = self.embedding(tokens_BT)
        x_PBTD = x_BTD.expand(self.streams, *x_BTD.shape)
        for block in self.blocks:
            x_PBTD = block(x_PBTD, self.cos_TK[:T], self.sin_TK[:T])
        x_PBTD = self.norm(x_PBTD)
        return self.head(x_PBTD[0] if self.sum is None else self.sum(x_PBTD))
