"""The decoder-only transformer: plain PyTorch, one token sequence in, logits out.

By default pre-norm blocks with RMSNorm, rotary positions, normalised queries and keys, a
squared-ReLU MLP of width 4 d (so that a block has exactly 12 d^2 matrix weights and no rung carries
a rounding error into the fit), an untied head and no biases;
``scalinglab.scaling.model.architecture`` has the options. The model knows nothing of packing, of
devices or of training.

Letters in names are sizes: B sequences, T tokens, D width, H heads, K head dimension, M width of
the MLP, V vocabulary.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from scalinglab.scaling.engine.network.dropout import dropped, of_place, of_sequences
from scalinglab.scaling.engine.network.layers import rotary_table, times
from scalinglab.scaling.engine.network.part import ADDED_BY, FED_BY, MIXED_BY, Stream, fill, norm
from scalinglab.scaling.model.architecture import Architecture


class Block(nn.Module):
    """A mixer and a feed-forward, each a branch of the residual stream: x + F(norm(x))."""

    def __init__(self, architecture: Architecture, layer: int) -> None:
        super().__init__()
        of_mixer, of_feed_forward = self.norms = architecture.norms(layer)
        mixer, feed_forward = architecture.branches
        residual = ADDED_BY[architecture.residual_part.name]
        self.norm_multiplier = architecture.norm_multiplier(layer)
        self.parallel = architecture.parallel
        self.dropout = architecture.dropout
        self.attention_norm = norm(architecture, of_mixer.input)
        built = fill(self, mixer.module, MIXED_BY[mixer.name](architecture, layer))
        self._mix = built.__call__  # the method alone: `fill` has registered the module
        self.attention_output_norm = norm(architecture, of_mixer.output)
        self.attention_residual = residual(architecture, layer)
        self.attention_sum_norm = norm(architecture, of_mixer.sum)
        self.mlp_norm = norm(architecture, of_feed_forward.input)
        built = fill(self, feed_forward.module, FED_BY[feed_forward.name](architecture, layer))
        self._feed = built.__call__
        self.mlp_output_norm = norm(architecture, of_feed_forward.output)
        self.mlp_residual = residual(architecture, layer)
        self.mlp_sum_norm = norm(architecture, of_feed_forward.sum)
        self.attention_residual.take_number(2 * layer)
        self.mlp_residual.take_number(2 * layer + 1)

    def forward(
        self,
        stream: Tensor,
        cos_TK: Tensor,
        sin_TK: Tensor,
        key_B: Tensor | None = None,
        documents_BT: Tensor | None = None,
    ) -> Tensor | tuple[Tensor, Tensor]:
        """The residual stream after this block, and its parts' addition to the objective if any.

        With a key for each sequence, dropout draws by it; `documents_BT` is for the mixer.
        """
        # A norm that is not placed is not called: of a small model's step, calls are a good part.
        of_mixer, of_feed_forward = self.norms
        read_BTD = self.attention_residual.read(stream)
        normed_BTD = times(self.attention_norm(read_BTD), self.norm_multiplier)
        documents = () if documents_BT is None else (documents_BT,)
        branch_BTD = self._mix(normed_BTD, cos_TK, sin_TK, *documents)
        if of_mixer.output:
            branch_BTD = self.attention_output_norm(branch_BTD)
        if key_B is not None:
            branch_BTD = dropped(branch_BTD, self.dropout, of_place(key_B, 0))
        stream = self.attention_residual(stream, branch_BTD)
        if of_mixer.sum:
            stream = self.attention_sum_norm(stream)
        if not self.parallel:
            read_BTD = self.mlp_residual.read(stream)
            normed_BTD = times(self.mlp_norm(read_BTD), self.norm_multiplier)
        fed = self._feed(normed_BTD)
        branch_BTD, *penalty = fed if isinstance(fed, tuple) else (fed,)
        if of_feed_forward.output:
            branch_BTD = self.mlp_output_norm(branch_BTD)
        if key_B is not None:
            branch_BTD = dropped(branch_BTD, self.dropout, of_place(key_B, 1))
        stream = self.mlp_residual(stream, branch_BTD)
        if of_feed_forward.sum:
            stream = self.mlp_sum_norm(stream)
        return (stream, *penalty) if penalty else stream


class Transformer(nn.Module):
    """Tokens (B, T) to logits (B, T, V).

    Parameters
    ----------
    architecture : Architecture
    ends : sequence of int
        Tokens that end a document; used if its mixer is bounded by documents.
    """

    def __init__(self, architecture: Architecture, ends: Sequence[int] = ()) -> None:
        super().__init__()
        shape = architecture.shape
        self.ends = ends if architecture.mixer.bounded else None
        self.embedding_multiplier = architecture.embedding_multiplier
        self.head_multiplier = architecture.head_multiplier
        self.softcap = architecture.logit_softcap
        self.loops = architecture.loops
        self.embedding = nn.Embedding(shape.vocab, shape.width)
        self.norms_embedding = architecture.embedding_scale == "norm"
        self.embedding_norm = norm(architecture, self.norms_embedding)
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
        return self.stream(tokens_BT)[0]

    def stream(self, tokens_BT: Tensor, key: Tensor | None = None) -> tuple[Tensor, Tensor | None]:
        """The same, and the parts' addition to the objective; None if they add nothing.

        With a key, of the run and step, dropout draws by it.
        """
        T = tokens_BT.shape[-1]
        cos_TK, sin_TK = self.cos_TK[:T], self.sin_TK[:T]
        x_BTD = times(self.embedding(tokens_BT), self.embedding_multiplier)
        if self.norms_embedding:
            x_BTD = self.embedding_norm(x_BTD)
        blocks: list[Any] = list(self.blocks)
        residual: Stream = blocks[0].attention_residual
        stream = residual.begin(x_BTD)
        penalty, key_B = None, None if key is None else of_sequences(key, tokens_BT)
        documents_BT = None if self.ends is None else _documents(tokens_BT, self.ends)
        for loop in range(self.loops):
            for i, block in enumerate(blocks):
                drawn = None if key_B is None else of_place(key_B, loop * len(blocks) + i)
                stream = block(stream, cos_TK, sin_TK, drawn, documents_BT)
                if isinstance(stream, tuple):
                    stream, of_block = stream
                    penalty = of_block if penalty is None else penalty + of_block
        return residual.end(stream), penalty

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


def _documents(tokens_BT: Tensor, ends: Sequence[int]) -> Tensor:
    """The number of each token's document in its sequence, from 0, its end included."""
    ended_BT = torch.zeros_like(tokens_BT, dtype=torch.long)
    for token in ends:
        ended_BT = ended_BT + (tokens_BT == token)
    return ended_BT.cumsum(-1) - ended_BT
