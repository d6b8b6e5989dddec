"""The gradient of the next batch, layer by layer."""

from __future__ import annotations

from dataclasses import dataclass

from scalinglab.scaling.probes.probe import PROBES, Probe


@PROBES.register("gradients")
@dataclass(frozen=True, kw_only=True)
class Gradients(Probe):
    """Gradient norm of the next batch by layer, and the share of entries below Adam's epsilon.

    Entries below epsilon are not updated at full size (arXiv 2407.05872); the norms by layer show
    where a gradient vanishes with depth.
    """

    epsilon: float | None = None  # None: the optimizer's own, where it has one
