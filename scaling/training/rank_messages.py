"""What a worker and its ranks tell each other: the work at the start, and how a rank failed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from scalinglab.scaling.config import ExecutionConfig
from scalinglab.scaling.records.failures import FailureClass

SECRET = "SCALING_RANKS_SECRET"  # the environment variable that lets a rank in


@dataclass(frozen=True)
class RankWork:
    """What a rank is told to do."""

    folders: list[Path]
    attempts: list[int]
    pins: dict[str, Sequence[int]]
    execution: ExecutionConfig
    nodes: int


@dataclass(frozen=True)
class RankFailure:
    """How a rank failed, in its own words; `lost` if another attempt has the run."""

    rank: int
    moment: float
    error: str
    trace: str
    kind: FailureClass
    signature: str
    lost: bool
    micro_batch: int | None
