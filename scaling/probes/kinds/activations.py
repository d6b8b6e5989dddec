"""Outliers of the residual stream."""

from __future__ import annotations

from dataclasses import dataclass

from scalinglab.scaling.fields import AT_LEAST_1, setting
from scalinglab.scaling.probes.probe import PROBES, Probe


@PROBES.register("activations")
@dataclass(frozen=True, kw_only=True)
class Activations(Probe):
    """Kurtosis of the features and largest size of the residual stream after each block.

    Kurtosis: the fourth moment over the squared second of the features' mean squares (arXiv
    2405.19279). Sizes far above the median are massive activations (arXiv 2402.17762).
    """

    windows: int = setting(8, AT_LEAST_1)  # of the validation set
