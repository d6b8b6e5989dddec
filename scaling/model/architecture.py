"""The network: everything that fixes its function and its initial weights beyond the seed."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Any

from scalinglab.scaling.fields import ABOVE_0, AT_LEAST_1, Within, setting
from scalinglab.scaling.model.part import (
    LINEARS,
    SLOTS,
    Branch,
    FeedForward,
    Linear,
    Mixer,
    Norm,
    Part,
    Residual,
    default_feed_forward,
    default_mixer,
    filled,
    stored_part,
)
from scalinglab.scaling.model.placements import PLACEMENTS, Norms
from scalinglab.scaling.model.shape import Shape

ACTIVATIONS = ("relu2", "relu", "gelu", "swiglu", "geglu")
GATED = ("swiglu", "geglu")  # these have a third matrix
EMBEDDING_SCALES = ("one", "sqrt_width", "norm")
NORM_SCALES = ("one", "inverse_sqrt_layer")
INITS = ("normal", "small", "mimetic", "lsuv")
PARAMETRIZATIONS = ("sp", "ntk", "mup", "completep")
SCALED = ("ntk", "mup", "completep")  # these scale from a base width
ALIGNED = ("mup", "completep")  # these scale attention from a base head_dim
# How weight decay lambda follows the width. `product`: learning rate times decay, by which a step
# shrinks weights, stays that of the base (mup's lambda m_N of a hidden matrix under AdamW). `sqrt`:
# lambda sqrt(m_N) of hidden matrices keeps their top singular values (arXiv 2510.15262).
# `constant`: lambda.
DECAY_RULES = ("product", "sqrt", "constant")


@dataclass(frozen=True, kw_only=True)
class NetworkOptions:
    """The options of the network beside its sizes, and how it is scaled from a base shape.

    docs/models.md names the source of each option and the options with which it clashes.

    Attributes
    ----------
    rope_base : float
        Base of the rotary positions.
    activation : str
        Of the MLP, one of ``ACTIVATIONS``.
    norm : str or Norm
        The norm: a name alone, or a part with its keys.
    placement : str
        Where norms stand in a block, one of ``PLACEMENTS``.
    post_fraction : float or None
        Share of the blocks, from the first, that ``mix`` gives post-norm.
    norm_scale : str
        Factor of the output of a block's norms: ``inverse_sqrt_layer`` divides by the root of the
        layer's number, from 1 (arXiv 2502.05795).
    qk_norm : bool
        Whether queries and keys are normalised, head by head.
    embedding_scale : str
        ``sqrt_width`` multiplies embeddings by sqrt(d), ``norm`` normalises them (arXiv
        2312.16903).
    init : str
        ``INITS``; see ``scalinglab.scaling.engine.network.initialization``.
    logit_softcap : float or None
        c of c tanh(logits / c).
    tied_head : bool
        Whether the embedding is the head's matrix, too.
    bias : bool
        Whether the matrices of the blocks have biases.
    loops : int
        How often the stack of blocks is run (arXiv 1807.03819).
    dropout : float
        Share of each branch's output that is set to zero in a step of training.
    parametrization : str
        How init, rates and multipliers follow the shape:
        ``scalinglab.scaling.model.parametrization``.
    base_width, base_depth, base_head_dim : int or None
        The shape at which hyper-parameters were tuned: there all parametrizations equal ``sp``.
        None if the parametrization does not need it; for ``base_head_dim``, the model's own.
    depth_exponent : float
        Alpha of ``completep``: residual branches are scaled by (depth / base_depth)^-alpha.
    decay_rule : str
        How weight decay follows the width: ``DECAY_RULES``.
    mixer, feed_forward : Part
        The parts of each block.
    linear, residual : str or Part
        The kind of its matrices, and how its branches are added to the stream: a name alone, or a
        part with its keys.
    """

    rope_base: float = setting(10_000.0, ABOVE_0)
    activation: str = setting("relu2", ACTIVATIONS, historic="relu2")
    norm: str | Norm = setting("rmsnorm", historic="rmsnorm")
    placement: str = setting("pre", PLACEMENTS, historic="pre")
    post_fraction: float | None = setting(
        None, ABOVE_0, historic=None, used_with=("placement", ("mix",))
    )
    norm_scale: str = setting("one", NORM_SCALES, historic="one")
    qk_norm: bool = setting(True, historic=True)
    embedding_scale: str = setting("one", EMBEDDING_SCALES, historic="one")
    init: str = setting("normal", INITS, historic="normal")
    logit_softcap: float | None = setting(None, ABOVE_0, historic=None)
    tied_head: bool = setting(False, historic=False)
    bias: bool = setting(False, historic=False)
    loops: int = setting(1, AT_LEAST_1, historic=1)
    dropout: float = setting(0.0, Within(0, 1, below=True), historic=0.0)
    parametrization: str = setting("sp", PARAMETRIZATIONS, historic="sp")
    base_width: int | None = setting(
        None, AT_LEAST_1, historic=None, used_with=("parametrization", SCALED)
    )
    base_depth: int | None = setting(
        None, AT_LEAST_1, historic=None, used_with=("parametrization", ("completep",))
    )
    base_head_dim: int | None = setting(
        None, AT_LEAST_1, historic=None, used_with=("parametrization", ALIGNED)
    )
    depth_exponent: float = setting(
        1.0, ABOVE_0, historic=1.0, used_with=("parametrization", ("completep",))
    )
    decay_rule: str = setting(
        "product", DECAY_RULES, historic="product", used_with=("parametrization", SCALED)
    )
    mixer: Mixer = field(
        default_factory=default_mixer, metadata={"historic": {"name": "attention"}}
    )
    feed_forward: FeedForward = field(
        default_factory=default_feed_forward, metadata={"historic": {"name": "mlp"}}
    )
    linear: str | Linear = setting("dense", historic="dense")
    residual: str | Residual = setting("add", historic="add")


@dataclass(frozen=True)
class Architecture(NetworkOptions):
    """A shape with the options of the network; options that others leave unused are at defaults.

    Attributes
    ----------
    shape : Shape
        Sizes of the tensors.
    """

    shape: Shape

    @classmethod
    def from_science(cls, model: Mapping[str, Any]) -> Architecture:
        """Read the architecture from a run's science, which may be older than some option."""
        shape = Shape(**{f.name: model[f.name] for f in fields(Shape)})
        options = {f.name: model[f.name] for f in fields(cls) if f.name in model}
        for slot, kind in SLOTS.items():
            if slot in options and not isinstance(options[slot], str):
                options[slot] = stored_part(kind, options[slot])
        return cls(shape, **options)

    def science(self) -> dict[str, Any]:
        """The model in a run's science: plain values, the shape's sizes among the options."""
        options = {
            k: v.science() if isinstance(v, Part) else v
            for k, v in vars(self).items()
            if k != "shape"
        }
        return {"name": "transformer", **vars(self.shape), **options}

    @property
    def branches(self) -> tuple[Branch, ...]:
        """The mixer and the feed-forward of each block."""
        return self.mixer, self.feed_forward

    @property
    def parts(self) -> tuple[Part, ...]:
        """The parts of all slots."""
        return *self.branches, self.norm_part, self.linear_part, self.residual_part

    @property
    def norm_part(self) -> Norm:
        """The norm, with its keys."""
        return filled(Norm, self.norm)

    @property
    def linear_part(self) -> Linear:
        """The kind of the matrices in the slots that it is meant for (see `linear_of`)."""
        return filled(Linear, self.linear)

    @property
    def residual_part(self) -> Residual:
        """The rule by which branches are added to the stream."""
        return filled(Residual, self.residual)

    @property
    def alone(self) -> str:
        """Why runs are trained alone and by eager steps (`Part.alone`); empty if they are not."""
        return next((part.alone for part in self.parts if part.alone), "")

    def linear_of(self, slot: str) -> Linear:
        """The kind of the matrices in the branch of a slot."""
        chosen = self.linear_part
        return chosen if chosen.within in ("blocks", slot) else LINEARS["dense"]()

    @property
    def passes(self) -> int:
        """Blocks that a token passes; a block that is run again counts each time."""
        return self.loops * self.shape.depth

    def columns(self) -> dict[str, tuple[float, float]]:
        """Columns of the analysis: name -> its value, and that of networks without such a part."""
        columns: dict[str, tuple[float, float]] = {}
        if self.loops != 1:
            columns["loops"] = (self.loops, 1)
        for part in self.parts:
            columns |= part.columns()
        return columns

    # ------------------------------------------------------------------ norms

    def norms(self, layer: int) -> tuple[Norms, Norms]:
        """Where the norms of attention and MLP stand in a block."""
        if self.norm_part.absent:
            return Norms(), Norms()
        post = 0 if self.post_fraction is None else round(self.post_fraction * self.shape.depth)
        return PLACEMENTS["post" if layer < post else self.placement]

    @property
    def final_norm(self) -> bool:
        """Whether there is a norm before the head; none if the last sum is normalised."""
        absent = self.norm_part.absent
        return not absent and not self.norms(self.shape.depth - 1)[1].sum

    @property
    def value_norm(self) -> bool:
        """Whether values are normalised as queries and keys are."""
        return self.placement == "hybrid"

    @property
    def parallel(self) -> bool:
        """Whether the feed-forward has the input of the mixer, not the stream after it."""
        return self.placement == "parallel"

    @property
    def head_gains(self) -> bool:
        """Whether each head's output has a learned gain."""
        return self.placement == "normformer"

    def norm_multiplier(self, layer: int) -> float:
        """Factor of the output of a block's input norms."""
        return 1 / math.sqrt(layer + 1) if self.norm_scale == "inverse_sqrt_layer" else 1.0

    # ------------------------------------------------------------------ multipliers

    @property
    def width_ratio(self) -> float:
        """m_N = width / base width."""
        return self.shape.width / (self.base_width or self.shape.width)

    @property
    def depth_ratio(self) -> float:
        """m_L = depth / base depth."""
        return self.shape.depth / (self.base_depth or self.shape.depth)

    @property
    def embedding_multiplier(self) -> float:
        """Factor of the embeddings."""
        return math.sqrt(self.shape.width) if self.embedding_scale == "sqrt_width" else 1.0

    @property
    def stream_multiplier(self) -> float:
        """Factor of the stream before a branch is added: DeepNet's (2 L)^(1/4), otherwise 1."""
        return (2 * self.passes) ** 0.25 if self.placement == "deepnorm" else 1.0

    @property
    def residual_multiplier(self) -> float:
        """Factor of a branch before it is added: m_L^-alpha (arXiv 2505.01618, table 1)."""
        return self.depth_ratio**-self.depth_exponent

    @property
    def attention_multiplier(self) -> float:
        """Factor of the products of queries and keys: 1 / sqrt(head_dim).

        Under mup it is proportional to 1 / head_dim, as trained queries and keys are aligned (arXiv
        2203.03466, definition 4.1), and equals that of ``sp`` at the base.
        """
        base = self.base_head_dim or self.shape.head_dim
        return math.sqrt(base) / self.shape.head_dim

    @property
    def head_multiplier(self) -> float:
        """Factor of the logits: 1 / m_N under mup (arXiv 2203.03466, table 8), otherwise 1."""
        return 1 / self.width_ratio if self.parametrization in ("mup", "completep") else 1.0
