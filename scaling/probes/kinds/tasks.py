"""Scores of a task."""

from __future__ import annotations

from dataclasses import dataclass

from scalinglab.scaling.probes.probe import PROBES
from scalinglab.scaling.probes.task_probe import TaskProbe


@PROBES.register("tasks")
@dataclass(frozen=True, kw_only=True)
class Tasks(TaskProbe):
    """Scores of items: bits per byte of the answer, accuracy (by length too), Brier score.

    They serve the chain from loss to task loss to accuracy (arXiv 2412.04403, 2406.04391). Prompts
    with answers also give the exact pass rate of sampling: the probability of the answer.
    """
