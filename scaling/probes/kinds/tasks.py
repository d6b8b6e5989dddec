"""Scores of a task."""

from __future__ import annotations

from dataclasses import dataclass

from scalinglab.scaling.probes.asked_tasks import AskedTask
from scalinglab.scaling.probes.probe import PROBES


@PROBES.register("tasks")
@dataclass(frozen=True, kw_only=True)
class Tasks(AskedTask):
    """Scores of items: bits per byte of the answer, accuracy (by length too), Brier score.

    As the chain from loss to task loss to accuracy wants them (arXiv 2412.04403, 2406.04391). Of
    prompts with answers also the pass rate of sampling, exactly: the probability of the answer.
    """
