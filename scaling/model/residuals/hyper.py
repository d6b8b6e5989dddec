"""Several streams, which every branch reads, mixes and writes by weights of its own."""

from __future__ import annotations

from dataclasses import dataclass

from scalinglab.scaling.errors import ConfigError
from scalinglab.scaling.fields import AT_LEAST_1, setting
from scalinglab.scaling.model.architecture import Architecture
from scalinglab.scaling.model.part import RESIDUALS, MapFlops, Residual, Size, Start

START_OF_SCALES = 0.01


@RESIDUALS.register("hyper")
@dataclass(frozen=True, kw_only=True)
class Hyper(Residual):
    """Hyper-connections (arXiv 2409.19606).

    A branch reads a sum of the streams, mixes them, and what it gives is added to each. At the
    beginning it is the plain sum: branch k reads stream k modulo their number, none is mixed, and
    all are written to. Weights are kept as their distance from that, so that all start at zero
    (those by which branches write: at one).

    Attributes
    ----------
    streams : int
        How many.
    dynamic : bool
        Whether the weights follow the token, too: a tanh of a linear map of the normalised
        streams, times a small scale that is learned, beside those that all tokens share.
    """

    name: str = "hyper"
    streams: int = setting(4, AT_LEAST_1)
    dynamic: bool = setting(True)

    def tensors(self, architecture: Architecture) -> dict[str, Size]:
        """See ``Residual.tensors``: rows of the router are of mixing, of reading, of writing."""
        n = self.streams
        fixed: dict[str, Size] = {"mix_bias": (n * n,), "read_bias": (n,), "write_gain": (n,)}
        if not self.dynamic:
            return fixed
        size = (n + 2, architecture.shape.width)
        scale = Start((2,), START_OF_SCALES)  # of mixing and reading, of writing
        return {**fixed, "scale_gain": scale, "router.weight": Start(size, 0.0)}

    def check(self, architecture: Architecture) -> None:
        """See ``Part.check``."""
        if architecture.parallel:
            raise ConfigError(
                "model.residual.name = 'hyper' clashes with model.placement = 'parallel': its "
                "second branch reads no stream; allowed are the other placements"
            )

    def idle_weights(self, architecture: Architecture) -> int:
        """See ``Part.idle_weights``: every stream passes through the router."""
        router = (self.streams + 2) * architecture.shape.width if self.dynamic else 0
        return -2 * (self.streams - 1) * router

    def map_flops(self, architecture: Architecture) -> MapFlops:
        """See ``Part.map_flops``: both branches read and mix."""
        n = self.streams
        flops = 2 * 6 * (n * n + n) * architecture.shape.width
        return MapFlops(seen=flops, whole=flops)

    def stream_floats(self, architecture: Architecture) -> int:
        """See ``Residual.stream_floats``."""
        return self.streams * architecture.shape.width

    def kept_floats(self, architecture: Architecture) -> float:
        """See ``Residual.kept_floats``: streams before and after each branch, and normalised."""
        return 2 * (2 + self.dynamic) * self.stream_floats(architecture)
