"""Experts that choose their tokens, among those that a causal model may look at."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from scalinglab.scaling.fields import AT_LEAST_0, setting
from scalinglab.scaling.model.feed_forwards.experts import RoutedExperts
from scalinglab.scaling.model.part import FEED_FORWARDS


@FEED_FORWARDS.register("expert_choice")
@dataclass(frozen=True, kw_only=True)
class ExpertChoice(RoutedExperts):
    """Each expert takes the tokens that it scores highest of those so far (causal expert choice).

    In "Mixture-of-Experts with Expert Choice Routing" (arXiv 2202.09368) an expert takes the top
    tokens of a whole batch. Whether it takes a token then depends on later ones, and the loss is
    not that of a model that predicts the next token. Here it takes the token at place t of a
    sequence if its score is among the ``top_k`` / ``experts`` * t highest of the t so far.
    As there, a token is taken by few or many experts, by ``top_k`` on average: exactly where scores
    have no trend along the sequence (the record has the number, ``router_experts``). Their outputs
    are weighted by the router's softmax over experts, and no term balances the load.

    Attributes
    ----------
    router_z_loss : float
        Coefficient of the router's mean squared log-normaliser (arXiv 2202.08906: 1e-3).
    """

    told: ClassVar[tuple[str, ...]] = (
        "router_max_load",
        "router_dropped",
        "router_experts",
        "router_skipped",
    )

    name: str = "expert_choice"
    router_z_loss: float = setting(0.0, AT_LEAST_0)
