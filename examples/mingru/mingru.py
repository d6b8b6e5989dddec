"""A recurrent language model of one's own: minimal gated units (Feng et al., arXiv 2410.01201).

A unit keeps a share of its state and takes the rest of a candidate; both depend on the token alone,
so all states of a sequence come from one scan and no loop over tokens:

    h_t = (1 - z_t) h_(t-1) + z_t g(c_t),    z = sigmoid(W_z x),  c = W_c x

The scan is in logarithms (the paper's appendix B.3), where products become sums: g is positive.
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from scalinglab import register


class MinGRU(nn.Module):
    """Tokens (B, T, D) to states (B, T, D)."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.gate = nn.Linear(width, width)
        self.candidate = nn.Linear(width, width)

    def forward(self, x_BTD: Tensor) -> Tensor:
        """The states."""
        gate, c = self.gate(x_BTD), self.candidate(x_BTD)
        log_keep, log_take = F.logsigmoid(-gate), F.logsigmoid(gate)
        # g(c): c + 1/2 above 0, sigmoid(c) below.
        log_g = torch.where(c >= 0, (F.relu(c) + 0.5).log(), F.logsigmoid(c))
        kept = log_keep.cumsum(1)
        return (kept + (log_take + log_g - kept).logcumsumexp(1)).exp()


class Block(nn.Module):
    """A mixer of tokens and a feed-forward, each added to the stream."""

    def __init__(self, width: int, ratio: int) -> None:
        super().__init__()
        self.mixer_norm, self.norm = nn.RMSNorm(width), nn.RMSNorm(width)
        self.mixer = MinGRU(width)
        self.up = nn.Linear(width, ratio * width, bias=False)
        self.down = nn.Linear(ratio * width, width, bias=False)

    def forward(self, x_BTD: Tensor) -> Tensor:
        """The stream after both."""
        x_BTD = x_BTD + self.mixer(self.mixer_norm(x_BTD))
        return x_BTD + self.down(F.gelu(self.up(self.norm(x_BTD))))


@register.model("mingru")
class MinGRULanguageModel(nn.Module):
    """Tokens (B, T) to logits (B, T, V). Its constructor gets `vocab`; the rest are options."""

    def __init__(self, vocab: int, width: int = 64, depth: int = 2, ratio: int = 4) -> None:
        super().__init__()
        self.embedding = nn.Embedding(vocab, width)
        self.blocks = nn.ModuleList(Block(width, ratio) for _ in range(depth))
        self.norm = nn.RMSNorm(width)
        self.head = nn.Linear(width, vocab, bias=False)

    def forward(self, tokens_BT: Tensor) -> Tensor:
        """Logits."""
        x_BTD = self.embedding(tokens_BT)
        for block in self.blocks:
            x_BTD = block(x_BTD)
        return self.head(self.norm(x_BTD))
