"""The seeds of a recipe as one model."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from scalinglab.scaling.probes.probe import PROBES, Probe


@PROBES.register("ensemble")
@dataclass(frozen=True, kw_only=True)
class Ensemble(Probe):
    """Validation loss of the mean of the probabilities of runs that differ in their seeds alone.

    As in arXiv 1612.01474; against size and number of members in arXiv 2007.08483. It belongs to
    the run of the lowest seed.
    """

    version: ClassVar[int] = 2  # 1 counted the separators of documents
    of_seeds: ClassVar[bool] = True
