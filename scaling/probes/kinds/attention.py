"""Attention logits and the entropy of attention."""

from __future__ import annotations

from dataclasses import dataclass

from scalinglab.scaling.fields import AT_LEAST_1, setting
from scalinglab.scaling.probes.probe import PROBES, Probe


@PROBES.register("attention")
@dataclass(frozen=True, kw_only=True)
class Attention(Probe):
    """Largest attention logit (arXiv 2309.14322) and mean entropy (arXiv 2303.06296) by layer.

    Layers are the calls of torch's scaled dot product attention, in order, in any network.
    Entropy is in nats, relative to that of even attention to all that a token sees.
    """

    windows: int = setting(4, AT_LEAST_1)  # of the validation set
