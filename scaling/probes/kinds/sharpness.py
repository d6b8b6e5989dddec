"""Sharpness: the extreme eigenvalues of the loss's Hessian."""

from __future__ import annotations

from dataclasses import dataclass

from scalinglab.scaling.fields import AT_LEAST_0, AT_LEAST_1, Within, setting
from scalinglab.scaling.probes.probe import PROBES, Probe


@PROBES.register("sharpness")
@dataclass(frozen=True, kw_only=True)
class Sharpness(Probe):
    """Largest and smallest eigenvalue of the Hessian of the loss of the next batch.

    By Lanczos' method on products of the Hessian with vectors, orthogonalised anew at each step
    (arXiv 1901.10159). Gradient descent settles where the largest is about 2 over the learning rate
    (arXiv 2103.00065); noise of small batches raises the extremes (arXiv 2006.09092).
    """

    sequences: int = setting(8, AT_LEAST_1)  # of the next batch, at most
    steps: int = setting(30, Within(2, 1000))  # products at most
    tolerance: float = setting(1e-3, Within(1e-12, 1))  # of the largest, relative; then it ends
    seed: int = setting(0, AT_LEAST_0)
