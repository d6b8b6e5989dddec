"""What mixtures of experts have in common: sizes, counts, and the places of an expert."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar

from scalinglab.scaling.errors import ConfigError
from scalinglab.scaling.fields import ABOVE_0, AT_LEAST_0, AT_LEAST_1, setting
from scalinglab.scaling.model.architecture import GATED, Architecture
from scalinglab.scaling.model.feed_forwards.mlp import KEPT_FLOATS
from scalinglab.scaling.model.part import FeedForward, Size, divided
from scalinglab.scaling.model.placements import Norms


@dataclass(frozen=True, kw_only=True)
class RoutedExperts(FeedForward):
    """Experts of width ``model.mlp_width`` / granularity, of which a token passes through some.

    Attributes
    ----------
    experts : int
        Experts among which the router chooses.
    top_k : int
        Those that a token passes through, or passes through on average.
    shared : int
        Experts of the same width that all tokens pass through, beside them (arXiv 2401.06066).
    granularity : int
        How many times narrower an expert is than the dense feed-forward (arXiv 2402.07871).
    capacity : float or None
        Tokens of a sequence that an expert takes, over those of an even load; what comes later in
        the sequence is dropped (arXiv 2006.16668). None: nothing is dropped.
    """

    no_bias: ClassVar[str] = "experts have none"
    no_inner_norm: ClassVar[str] = "and each expert would need its own"

    experts: int = setting(8, AT_LEAST_1)
    top_k: int = setting(2, AT_LEAST_1)
    shared: int = setting(0, AT_LEAST_0)
    granularity: int = setting(1, AT_LEAST_1)
    capacity: float | None = setting(1.25, ABOVE_0)

    def tensors(self, architecture: Architecture, norms: Norms) -> dict[str, Size]:
        """See ``Branch.tensors``."""
        d, m = architecture.shape.width, self.expert_width(architecture)
        sizes: dict[str, Size] = {"router.weight": (self.experts, d)}
        matrices = {"up": (m, d), "gate": (m, d), "down": (d, m)}
        if architecture.activation not in GATED:
            del matrices["gate"]
        sizes |= {f"experts.{name}.weight": (self.experts, *s) for name, s in matrices.items()}
        if self.shared:
            m = m * self.shared
            both = {"up": (m, d), "gate": (m, d), "down": (d, m)}
            sizes |= {f"shared.{name}.weight": both[name] for name in matrices}
        return sizes

    def check(self, architecture: Architecture) -> None:
        """See ``Part.check``."""
        super().check(architecture)
        key, width = "model.feed_forward", architecture.shape.mlp_width
        if self.top_k > self.experts:
            raise ConfigError(
                f"{key}.top_k = {self.top_k} of {key}.experts = {self.experts}: a token passes "
                f"through {self.experts} at most"
            )
        if width % self.granularity:
            raise ConfigError(
                f"{key}.granularity = {self.granularity} does not divide the feed-forward's width "
                f"{width} (model.mlp_width); allowed are its divisors"
            )

    def expert_width(self, architecture: Architecture) -> int:
        """Hidden width of one expert."""
        return divided(architecture.shape.mlp_width, self.granularity)

    def slots(self, context: int) -> int:
        """Tokens of a sequence that an expert takes."""
        if self.capacity is None:
            return context
        return min(context, math.ceil(self.capacity * self.top_k * context / self.experts))

    def computed(self, context: int) -> int:
        """Tokens of a sequence that all experts together compute, empty places among them."""
        return self.experts * self.slots(context)

    def idle_weights(self, architecture: Architecture) -> int:
        """See ``Branch.idle_weights``."""
        return (self.experts - self.top_k) * self.expert_weights(architecture)

    def columns(self) -> dict[str, tuple[float, float]]:
        """See ``Part.columns``."""
        active = self.top_k + self.shared
        return {
            "experts": (self.experts, 1),
            "active_experts": (active, 1),
            "active_share": (active / (self.experts + self.shared), 1),
            "granularity": (self.granularity, 1),
        }

    def kept_floats(self, architecture: Architecture) -> float:
        """See ``Branch.kept_floats``: of the experts' slots, of who goes where, of the shared."""
        shape = architecture.shape
        slots = self.computed(shape.context)
        hidden = KEPT_FLOATS[architecture.activation] * self.expert_width(architecture)
        taken = slots / shape.context * (hidden + 2 * shape.width) + self.shared * hidden
        return taken + 3 * self.experts + (0 if self.capacity is None else 3 * slots)

    def expert_weights(self, architecture: Architecture) -> int:
        """Weights of one expert."""
        matrices = 3 if architecture.activation in GATED else 2
        return matrices * architecture.shape.width * self.expert_width(architecture)
