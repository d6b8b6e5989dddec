"""Causal softmax attention: heads that share a key, the window, and the positions."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from scalinglab.scaling.errors import ConfigError
from scalinglab.scaling.fields import AT_LEAST_1, setting
from scalinglab.scaling.model.architecture import INITS, Architecture
from scalinglab.scaling.model.part import (
    MIXERS,
    MapFlops,
    Mixer,
    Size,
    divided,
    norm_sizes,
)
from scalinglab.scaling.model.placements import Norms

POSITIONS = ("rotary", "alibi", "none")


@MIXERS.register("attention")
@dataclass(frozen=True, kw_only=True)
class Attention(Mixer):
    """Each head weighs the tokens before by the softmax of products of queries and keys.

    Attributes
    ----------
    queries_per_key : int or None
        Heads that share keys and values (arXiv 2305.13245); None: all (arXiv 1911.02150).
    window : int or None
        Tokens that one sees, itself among them (arXiv 2004.05150); None: all before it.
    positions : str
        ``rotary``, ``alibi``: products fall with the distance (arXiv 2108.12409), or ``none``: the
        causal mask alone tells them (arXiv 2305.19466).
    within_documents : bool
        Whether a token sees those of its own document only (arXiv 2407.21783, section 3.2).
    """

    module: ClassVar[str] = "attention"
    inits: ClassVar[tuple[str, ...]] = INITS

    name: str = "attention"
    queries_per_key: int | None = setting(1, AT_LEAST_1, historic=1)
    window: int | None = setting(None, AT_LEAST_1, historic=None)
    positions: str = setting("rotary", POSITIONS, historic="rotary")
    within_documents: bool = setting(False, historic=False)

    def tensors(self, architecture: Architecture, norms: Norms) -> dict[str, Size]:
        """See ``Branch.tensors``."""
        shape = architecture.shape
        head = (shape.head_dim,)
        sizes: dict[str, Size] = {"head_gain": (shape.heads,)} if architecture.head_gains else {}
        for name in self.matrices(architecture):
            sizes |= self.matrix_sizes(architecture, name)
        if architecture.qk_norm:
            sizes |= {"query_norm.gain": head, "key_norm.gain": head}
        if architecture.value_norm:
            sizes["value_norm.gain"] = head
        return sizes | norm_sizes(architecture, "inner_norm", norms.inner)

    def matrices(self, architecture: Architecture) -> dict[str, tuple[int, int]]:
        """See ``Branch.matrices``."""
        d, shared = architecture.shape.width, self.key_width(architecture)
        return {"query": (d, d), "key": (shared, d), "value": (shared, d), "out": (d, d)}

    def check(self, architecture: Architecture) -> None:
        """See ``Part.check``."""
        shape = architecture.shape
        if self.queries_per_key is not None and shape.heads % self.queries_per_key:
            divisors = [q for q in range(1, shape.heads + 1) if shape.heads % q == 0]
            raise ConfigError(
                f"model.mixer.queries_per_key = {self.queries_per_key} does not divide the "
                f"{shape.heads} heads; allowed are {', '.join(map(str, divisors))}, and null for "
                "all"
            )
        if self.window is not None and self.window >= shape.context:
            raise ConfigError(
                f"model.mixer.window = {self.window} of model.context = {shape.context} hides "
                "nothing; allowed is less, and null for all tokens before"
            )
        if architecture.init == "mimetic" and self.queries_per_key != 1:
            raise ConfigError(
                "model.init = 'mimetic' clashes with model.mixer.queries_per_key = "
                f"{self.queries_per_key}: it pairs each head's queries with keys of its own; "
                "allowed beside it: 1"
            )

    @property
    def bounded(self) -> bool:
        """See ``Mixer.bounded``."""
        return self.within_documents

    def kept_floats(self, architecture: Architecture) -> float:
        """See ``Branch.kept_floats``: which tokens are of its document, a byte each.

        With ``alibi`` they are what each head adds to the products, a float each.
        """
        if not self.within_documents:
            return 0.0
        shape = architecture.shape
        return shape.heads * shape.context if self.positions == "alibi" else shape.context / 4

    def key_width(self, architecture: Architecture) -> int:
        """Rows of the matrices of keys and values."""
        shape, shared = architecture.shape, self.queries_per_key
        return shape.head_dim if shared is None else divided(shape.width, shared)

    def map_flops(self, architecture: Architecture) -> MapFlops:
        """Each query sees half of the keys on average, fewer through a window.

        Where documents end is the data's, and the whole map is computed: it counts as without.
        """
        shape = architecture.shape
        d, h, T = shape.width, shape.heads, shape.context
        w = T if self.window is None else self.window
        # w - w^2 / 2T keys; and 3 operations a score of the softmax.
        return MapFlops(seen=6 * d * w * (2 * T - w) // T, whole=12 * d * T, softmax=9 * h * T)
