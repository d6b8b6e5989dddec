"""The network: everything that fixes its function and its initial weights beyond the seed."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any


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


@dataclass(frozen=True)
class Architecture:
    """A shape with the options of the network, and how it is scaled from a base shape.

    Attributes
    ----------
    shape : Shape
        Sizes of the tensors.
    rope_base : float
        Base of the rotary positions.
    parametrization : str
        How init, learning rates and multipliers follow the shape: ``scaling.parametrization``.
    base_width, base_depth, base_head_dim : int or None
        The shape at which hyper-parameters were tuned: there all parametrizations are ``sp``. None
        where the parametrization does not ask (``base_head_dim``: heads of one width, whatever the
        model's).
    depth_exponent : float
        Alpha of ``completep``: residual branches are scaled by (depth / base_depth)^-alpha.
    decay_rule : str
        How weight decay follows the width: ``scaling.parametrization.DECAY_RULES``.
    """

    shape: Shape
    rope_base: float = 10_000.0
    parametrization: str = "sp"
    base_width: int | None = None
    base_depth: int | None = None
    base_head_dim: int | None = None
    depth_exponent: float = 1.0
    decay_rule: str = "product"

    @classmethod
    def from_science(cls, model: Mapping[str, Any]) -> Architecture:
        """From a run's ``science["model"]``, which may be older than some option."""
        shape = Shape(**{f.name: model[f.name] for f in fields(Shape)})
        return cls(shape, **{f.name: model[f.name] for f in fields(cls) if f.name in model})

    def science(self) -> dict[str, Any]:
        """Plain values, the shape's among the options: what is part of a run's identity."""
        values = asdict(self)
        return {"name": "transformer", **values.pop("shape"), **values}

    @property
    def width_ratio(self) -> float:
        """m_N = width / base width."""
        return self.shape.width / (self.base_width or self.shape.width)

    @property
    def depth_ratio(self) -> float:
        """m_L = depth / base depth."""
        return self.shape.depth / (self.base_depth or self.shape.depth)

    @property
    def residual_multiplier(self) -> float:
        """Of a residual branch before it is added: m_L^-alpha (arXiv 2505.01618, table 1)."""
        return self.depth_ratio**-self.depth_exponent

    @property
    def attention_multiplier(self) -> float:
        """Of the products of queries and keys: 1 / sqrt(head_dim).

        Under mup it goes as 1 / head_dim, as trained queries and keys are aligned (arXiv
        2203.03466, definition 4.1), and is that of ``sp`` at the base.
        """
        base = self.base_head_dim or self.shape.head_dim
        return math.sqrt(base) / self.shape.head_dim

    @property
    def head_multiplier(self) -> float:
        """Of the logits: 1 / m_N under mup (arXiv 2203.03466, table 8), else 1."""
        return 1 / self.width_ratio if self.parametrization in ("mup", "completep") else 1.0
