"""Runs of one recipe with several seeds as one model."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from scalinglab.scaling.probes.probe import PROBES, Probe


@PROBES.register("ensemble")
@dataclass(frozen=True, kw_only=True)
class Ensemble(Probe):
    """Validation loss of the mean of the probabilities of runs that differ in their seeds alone.

    See arXiv 1612.01474, and arXiv 2007.08483 for the scaling with size and number of members. The
    numbers belong to the run with the lowest seed.
    """

    version: ClassVar[int] = 2  # 1 counted the separators of documents
    of_seeds: ClassVar[bool] = True
