"""Linear attention whose states decay by a share that each token gives: linear in the context."""

from __future__ import annotations

from dataclasses import dataclass

from scalinglab.scaling.errors import ConfigError
from scalinglab.scaling.fields import AT_LEAST_1, setting
from scalinglab.scaling.model.architecture import Architecture
from scalinglab.scaling.model.part import MIXERS, MapFlops, Mixer, Size, divided, norm_sizes
from scalinglab.scaling.model.placements import Norms


@MIXERS.register("gated_linear")
@dataclass(frozen=True, kw_only=True)
class GatedLinear(Mixer):
    """Each head reads a state by queries, as in gated linear attention (arXiv 2312.06635).

    S_t = a_t S_(t-1) + k_t v_t^T and y_t = q_t S_t, with one decay a_t a head and token, as in
    Mamba-2 (arXiv 2405.21060). Computed in chunks: products within one, and the state between
    them. Keys and queries have half of a head's width, so that with the gate of what comes out a
    block has the weights of attention, but for the decay's.

    Attributes
    ----------
    chunk : int
        Tokens that are computed at once: how, not what.
    """

    name: str = "gated_linear"
    chunk: int = setting(64, AT_LEAST_1)

    def tensors(self, architecture: Architecture, norms: Norms) -> dict[str, Size]:
        """See ``Branch.tensors``."""
        key, head = (self.key_width(architecture),), (architecture.shape.head_dim,)
        sizes: dict[str, Size] = {}
        for name in self.matrices(architecture):
            sizes |= self.matrix_sizes(architecture, name)
        if architecture.qk_norm:
            sizes |= {"query_norm.gain": key, "key_norm.gain": key}
        sizes["state_norm.gain"] = head
        return sizes | norm_sizes(architecture, "inner_norm", norms.inner)

    def matrices(self, architecture: Architecture) -> dict[str, tuple[int, int]]:
        """See ``Branch.matrices``."""
        d, heads = architecture.shape.width, architecture.shape.heads
        keys = heads * self.key_width(architecture)
        return {
            "query": (keys, d),
            "key": (keys, d),
            "value": (d, d),
            "decay": (heads, d),
            "gate": (d, d),
            "out": (d, d),
        }

    def check(self, architecture: Architecture) -> None:
        """See ``Part.check``."""
        if architecture.head_gains or architecture.value_norm:
            raise ConfigError(
                f"model.placement = {architecture.placement!r} clashes with model.mixer.name = "
                f"{self.name!r}: it places gains or norms on the values of softmax attention; "
                "allowed are the other placements"
            )

    def key_width(self, architecture: Architecture) -> int:
        """Width of a head's queries and keys."""
        return divided(architecture.shape.head_dim, 2)

    def map_flops(self, architecture: Architecture) -> MapFlops:
        """Scores and values within chunks, half of them seen, and the states, made and read."""
        shape = architecture.shape
        T, heads, value, key = (
            shape.context,
            shape.heads,
            shape.head_dim,
            self.key_width(architecture),
        )
        chunks = [min(self.chunk, T - start) for start in range(0, T, self.chunk)]
        within = 6 * heads * (key + value) * sum(c * c for c in chunks) // T
        # Nothing reads the last chunk into a state, and the first reads none.
        states = 6 * heads * key * value * (2 * T - chunks[0] - chunks[-1]) // T
        return MapFlops(seen=within // 2 + states, whole=within + states)

    def kept_floats(self, architecture: Architecture) -> float:
        """See ``Branch.kept_floats``: scores with their decays, the gate, and the states."""
        shape = architecture.shape
        chunk = min(self.chunk, shape.context)
        state = shape.width * self.key_width(architecture) / chunk
        return 3 * shape.heads * chunk + 2 * shape.width + 2 * state
