"""Linear attention whose states decay by a factor that each token sets.

Within a chunk it is attention without a softmax, with scores that decay between two tokens; from
chunk to chunk a state is carried. Letters in names are sizes: C tokens of a chunk, K the width of a
head's keys, V that of its values.
"""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from scalinglab.scaling.engine.network.norms.rmsnorm import RMSNorm
from scalinglab.scaling.engine.network.part import MIXED_BY, linear, norm
from scalinglab.scaling.model.architecture import Architecture
from scalinglab.scaling.model.mixers.gated_linear import GatedLinear as Description

MEMORY = 16  # decays are sigmoids to the power 1 / 16, so close to 1, as in the paper


@MIXED_BY.register("gated_linear")
class GatedLinear(nn.Module):
    """The answers of each head's state to the queries of tokens."""

    def __init__(self, architecture: Architecture, layer: int) -> None:
        super().__init__()
        shape, mixer = architecture.shape, architecture.mixer
        assert isinstance(mixer, Description)  # found by the same name
        self.heads, self.chunk = shape.heads, mixer.chunk
        key = mixer.key_width(architecture)
        self.query = linear(architecture, mixer, "query")
        self.key = linear(architecture, mixer, "key")
        self.value = linear(architecture, mixer, "value")
        self.decay = linear(architecture, mixer, "decay")
        self.gate = linear(architecture, mixer, "gate")
        self.out = linear(architecture, mixer, "out")
        self.query_norm = RMSNorm(key) if architecture.qk_norm else nn.Identity()
        self.key_norm = RMSNorm(key) if architecture.qk_norm else nn.Identity()
        self.state_norm = RMSNorm(shape.head_dim)
        self.inner_norm = norm(architecture, architecture.norms(layer)[0].inner)

    def forward(self, x_BTD: Tensor, cos_TK: Tensor, sin_TK: Tensor) -> Tensor:
        """Its addition to the stream; decays encode positions, so nothing is rotated."""
        q_BHTK = self.query_norm(self._by_head(self.query(x_BTD)))
        k_BHTK = self.key_norm(self._by_head(self.key(x_BTD)))
        v_BHTV = self._by_head(self.value(x_BTD))
        log_decay_BHT = F.logsigmoid(self.decay(x_BTD).float()).transpose(-1, -2) / MEMORY
        y_BHTV = self.state_norm(self._read(q_BHTK, k_BHTK, v_BHTV, log_decay_BHT))
        y_BTD = y_BHTV.transpose(-3, -2).reshape(x_BTD.shape)
        return self.out(self.inner_norm(y_BTD * F.silu(self.gate(x_BTD))))

    def _by_head(self, x_BTN: Tensor) -> Tensor:
        return x_BTN.unflatten(-1, (self.heads, -1)).transpose(-3, -2)

    def _read(
        self, q_BHTK: Tensor, k_BHTK: Tensor, v_BHTV: Tensor, log_decay_BHT: Tensor
    ) -> Tensor:
        """The answers of states to queries, chunk after chunk."""
        answers, state = [], None  # state: (B, H, K, V)
        q_BHTK = q_BHTK / math.sqrt(q_BHTK.shape[-1])
        T, size = q_BHTK.shape[-2], self.chunk
        for start in range(0, T, size):
            place = slice(start, start + size)
            q, k, v = (x[..., place, :] for x in (q_BHTK, k_BHTK, v_BHTV))
            log_kept_BHC = log_decay_BHT[..., place].cumsum(-1)  # since the chunk's beginning
            C = log_kept_BHC.shape[-1]
            later = torch.ones(C, C, dtype=torch.bool, device=q.device).triu(1)
            between = log_kept_BHC[..., :, None] - log_kept_BHC[..., None, :]
            between = between.masked_fill(later, -math.inf).exp()
            y = (q @ k.mT * between) @ v.to(between.dtype)
            if state is not None:
                y = y + (q * log_kept_BHC[..., None].exp()) @ state
            if start + size < T:
                left_BHC = (log_kept_BHC[..., -1:] - log_kept_BHC).exp()  # at the chunk's end
                added = (k * left_BHC[..., None]).mT @ v.to(left_BHC.dtype)
                kept = log_kept_BHC[..., -1, None, None].exp()
                state = added if state is None else state * kept + added
            answers.append(y)
        return torch.cat(answers, -2)
