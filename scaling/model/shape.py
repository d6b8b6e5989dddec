"""The sizes of a transformer's tensors."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Shape:
    """Everything that fixes the sizes of a model's tensors.

    Attributes
    ----------
    depth : int
        Number of blocks, L.
    width : int
        Residual width, d = heads * head_dim.
    heads : int
        Attention heads, h.
    mlp_width : int
        Hidden width of the MLP, 4 d by default.
    context : int
        Tokens in one sequence, T.
    vocab : int
        Size of the token alphabet, V.
    """

    depth: int
    width: int
    heads: int
    mlp_width: int
    context: int
    vocab: int

    @property
    def head_dim(self) -> int:
        """Width of one attention head, d_h = d / h."""
        return self.width // self.heads
