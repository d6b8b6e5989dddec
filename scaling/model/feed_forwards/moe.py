"""A mixture of experts: each token passes through the few that a router chooses."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from scalinglab.scaling.errors import ConfigError
from scalinglab.scaling.fields import AT_LEAST_0, setting
from scalinglab.scaling.model.architecture import Architecture
from scalinglab.scaling.model.feed_forwards.experts import RoutedExperts
from scalinglab.scaling.model.part import FEED_FORWARDS, Size
from scalinglab.scaling.model.placements import Norms
from scalinglab.scaling.optimizers.optimizer import OptimizerConfig

BALANCES = ("loss", "bias", "none")
DISPATCHES = ("fixed", "sorted")
GATES = ("softmax", "sigmoid")


@FEED_FORWARDS.register("moe")
@dataclass(frozen=True, kw_only=True)
class MoE(RoutedExperts):
    """Experts of which each token takes the ``top_k`` that its router scores highest.

    Attributes
    ----------
    dispatch : str
        How tokens come to experts where nothing is dropped. ``fixed``: every expert computes every
        token. ``sorted``: each the tokens that chose it (dropless, arXiv 2211.15841), equal to
        rounding; how many they are follows from the tokens, so such runs train alone.
    gates : str
        What a token's experts are weighted by, over the sum of those chosen. ``softmax``: their
        shares of the probability. ``sigmoid``: scores that do not compete, as in DeepSeek-V3 (arXiv
        2412.19437, equations 13 to 16).
    balance : str
        ``loss``: Switch's auxiliary loss (arXiv 2101.03961), of each sequence. ``bias``: a bias of
        each expert in the choice alone, whose gradient is its excess load (arXiv 2408.15664).
    balance_weight : float
        Of the auxiliary loss in the objective.
    router_z_loss : float
        Coefficient of the router's mean squared log-normaliser (arXiv 2202.08906: 1e-3). Sigmoids
        have none.
    """

    told: ClassVar[tuple[str, ...]] = ("router_max_load", "router_dropped")

    name: str = "moe"
    dispatch: str = setting("fixed", DISPATCHES, historic="fixed")
    gates: str = setting("softmax", GATES, historic="softmax")
    balance: str = setting("loss", BALANCES)
    balance_weight: float = setting(0.01, AT_LEAST_0, used_with=("balance", ("loss",)))
    router_z_loss: float = setting(0.0, AT_LEAST_0, used_with=("gates", ("softmax",)))

    def tensors(self, architecture: Architecture, norms: Norms) -> dict[str, Size]:
        """See ``Branch.tensors``."""
        sizes = super().tensors(architecture, norms)
        if self.balance != "bias":
            return sizes
        router = sizes.pop("router.weight")
        return {"router.weight": router, "balance.bias": (self.experts,)} | sizes

    def check(self, architecture: Architecture) -> None:
        """See ``Part.check``."""
        super().check(architecture)
        key = "model.feed_forward"
        if self.dispatch == "sorted" and self.capacity is not None:
            raise ConfigError(
                f"{key}.dispatch = 'sorted' drops nothing, and {key}.capacity = {self.capacity:g} "
                f"does; allowed beside it: {key}.capacity = null"
            )

    def check_optimizer(self, optimizer: OptimizerConfig) -> None:
        """See ``Part.check_optimizer``."""
        if self.balance == "bias" and optimizer.family == "sgd":
            raise ConfigError(
                f"model.feed_forward.balance = 'bias' clashes with optimizer.name = "
                f"{optimizer.name!r}: the biases need steps whose size does not follow the "
                "gradient's; allowed beside it: balance loss, none"
            )

    @property
    def alone(self) -> str:
        """See ``Part.alone``."""
        if self.dispatch == "fixed":
            return ""
        return (
            "model.feed_forward.dispatch = 'sorted': how many tokens an expert computes follows "
            "from the tokens"
        )

    def computed(self, context: int) -> int:
        """See ``RoutedExperts.computed``."""
        return self.top_k * context if self.dispatch == "sorted" else super().computed(context)
