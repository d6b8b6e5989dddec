"""Sizes that ran out of memory in a launch, so that other runs of the shape do not try them again.

An attempt that ran out of memory records in its end file how many members and sequences it tried,
and on which kind of device. Half of that is the limit for every run of the launch that has the same
shape, on devices of the same kind. The next launch starts without limits.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass

from scalinglab.scaling.records import machine
from scalinglab.scaling.records.attempt import Attempt
from scalinglab.scaling.records.failures import OUT_OF_MEMORY, FailureClass
from scalinglab.scaling.records.identity import digest, without
from scalinglab.scaling.records.run_folder import RunFolder
from scalinglab.scaling.records.spec import RunSpec
from scalinglab.sweeps.launch.retry import since, splits
from scalinglab.sweeps.store.stored_plan import StoredRun

NOT_IN_MEMORY = ("seed", "schedule", "steps", "data", "identity_version")


@dataclass(frozen=True)
class Limit:
    """The largest pack and micro-batch that are left to try."""

    members: float = math.inf
    micro_batch: float = math.inf

    def __and__(self, other: Limit) -> Limit:
        return Limit(min(self.members, other.members), min(self.micro_batch, other.micro_batch))


NO_LIMIT = Limit()


class MemoryLimits:
    """The limits of a launch by shape, read from its attempts.

    Parameters
    ----------
    device : str
        ``execution.device`` of this worker: only attempts on its kind of device count.
    """

    def __init__(self, device: str) -> None:
        self.device = device
        self._shapes: dict[str, str] = {}
        self._limits: dict[str, Limit] = {}

    def read(self, runs: Iterable[StoredRun], launched: float) -> None:
        """Read the attempts at all runs since a launch began."""
        self._limits = {}
        for run in runs:
            for attempt in since(run.folder, launched):
                if (limit := self._of(attempt)) != NO_LIMIT:
                    shape = self._shape(run.folder)
                    self._limits[shape] = self._limits.get(shape, NO_LIMIT) & limit

    def of(self, run: StoredRun) -> Limit:
        """The limit of a run, by its attempts and those of other runs of its shape."""
        return self._limits.get(self._shape(run.folder), NO_LIMIT) if self._limits else NO_LIMIT

    def _shape(self, folder: RunFolder) -> str:
        if folder.run_id not in self._shapes:
            self._shapes[folder.run_id] = shape_of(folder.spec())
        return self._shapes[folder.run_id]

    def _of(self, attempt: Attempt) -> Limit:
        end = attempt.end
        if end is None or end.cause not in OUT_OF_MEMORY:
            return NO_LIMIT
        if end.device not in (None, machine.device_name(self.device)):
            return NO_LIMIT
        if splits(attempt):
            return Limit(members=end.members // 2)
        if end.cause == FailureClass.GPU_OOM and end.micro_batch is not None:
            return Limit(micro_batch=max(1, end.micro_batch // 2))
        return NO_LIMIT


def shape_of(run: RunSpec) -> str:
    """A hash of everything in a run's science that decides how much memory it takes."""
    return digest(without(run.science, NOT_IN_MEMORY) | {"optimizer": run.optimizer.name})
