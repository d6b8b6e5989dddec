"""How far the weights have gone."""

from __future__ import annotations

from dataclasses import dataclass

from scalinglab.scaling.probes.probe import PROBES, Probe


@PROBES.register("distance")
@dataclass(frozen=True, kw_only=True)
class Distance(Probe):
    """Distance of the weights from where they began, relative to their initial norm, and the angle.

    Little of both is lazy training (arXiv 1812.07956); angles of weights are what weight decay
    balances (arXiv 2305.17212).
    """

    each: bool = False  # of each tensor, too
