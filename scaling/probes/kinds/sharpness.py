"""Sharpness: the extreme eigenvalues of the loss's Hessian."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from scalinglab.scaling.fields import AT_LEAST_0, AT_LEAST_1, Within, setting
from scalinglab.scaling.probes.probe import PROBES, Probe
from scalinglab.scaling.records.spec import RunSpec

_VECTORS = 6  # beside the basis: a product, its parts, and what is subtracted from it


@PROBES.register("sharpness")
@dataclass(frozen=True, kw_only=True)
class Sharpness(Probe):
    """Largest and smallest eigenvalue of the Hessian of the loss of the next batch.

    By Lanczos' method on products of the Hessian with vectors, orthogonalised anew at each step
    (arXiv 1901.10159). Gradient descent settles where the largest is about 2 over the learning rate
    (arXiv 2103.00065); noise of small batches raises the extremes (arXiv 2006.09092).
    """

    memory_options: ClassVar[tuple[str, ...]] = ("steps",)

    sequences: int = setting(8, AT_LEAST_1)  # of the next batch, at most
    steps: int = setting(30, Within(2, 1000))  # products at most
    tolerance: float = setting(1e-3, Within(1e-12, 1))  # of the largest, relative; then it ends
    seed: int = setting(0, AT_LEAST_0)

    def held_floats(self, run: RunSpec) -> float:
        """The basis of Lanczos' method: a vector of all parameters for each step."""
        size = run.counts["n_total"]
        return float((min(self.steps, size) + _VECTORS) * size)
