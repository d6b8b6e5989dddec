"""Messages between a worker and its ranks: the work at the start, and failures."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from scalinglab.scaling.config import ExecutionConfig
from scalinglab.scaling.records.failures import FailureClass

SECRET = "SCALING_RANKS_SECRET"  # the environment variable by which a rank is admitted


@dataclass(frozen=True)
class RankWork:
    """The work of a rank."""

    folders: list[Path]
    attempts: list[int]
    pins: dict[str, Sequence[int]]
    execution: ExecutionConfig
    nodes: int


@dataclass(frozen=True)
class RankFailure:
    """The failure of a rank; `lost` if another attempt has the run."""

    rank: int
    moment: float
    error: str
    trace: str
    kind: FailureClass
    signature: str
    lost: bool
    micro_batch: int | None
