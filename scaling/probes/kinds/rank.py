"""Stable rank of the matrices."""

from __future__ import annotations

from dataclasses import dataclass

from scalinglab.scaling.probes.probe import PROBES, Probe


@PROBES.register("rank")
@dataclass(frozen=True, kw_only=True)
class Rank(Probe):
    """Stable rank of each matrix of the blocks over its full rank; their mean and the lowest.

    The stable rank is the squared Frobenius norm over the squared largest singular value. It falls
    unevenly over the layers (arXiv 2407.11239).
    """

    each: bool = False  # of each matrix, too
