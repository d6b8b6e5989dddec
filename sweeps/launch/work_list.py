"""The runs that a worker may begin next, read from the run folders at a bounded cost.

The folders are the truth and other workers change them, so a worker looks again before each run. If
it looked at all of them, a study of n runs would cost n looks at n folders. So it looks at all
folders only as often as that takes a small part of its time, or when something has happened. In
between it reads the plan from its start up to the first runs that it may begin, and never looks at
finished runs again.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from scalinglab.scaling.records.state import FINISHED, TO_BEGIN, State
from scalinglab.sweeps.launch.memory_limits import Limit, MemoryLimits
from scalinglab.sweeps.launch.retry import Retry, got_somewhere, tripped, verdict
from scalinglab.sweeps.store.launch_record import Launch, read_launch
from scalinglab.sweeps.store.packs import companions, pack_of, pack_size, vanished_pack
from scalinglab.sweeps.store.spent import overspent
from scalinglab.sweeps.store.state import LOOKS_APART, StateReader
from scalinglab.sweeps.store.stored_plan import StoredPlan, StoredRun

LEAST_LOOK = 64  # ready runs that one look finds: other workers claim some of them meanwhile
PACKS_LOOK = 4  # full packs that one look finds, if those are more runs


@dataclass(frozen=True)
class Look:
    """The runs that a worker may begin, and reasons to wait for others.

    `waits` holds the states of runs that may become ready; it is complete only if none is ready.
    """

    ready: list[StoredRun]
    waits: set[str]


class WorkList:
    """The runs of one class of a launch, seen by one worker.

    Parameters
    ----------
    launch : Launch
    kind : str
        Name of the resource class.
    """

    def __init__(self, launch: Launch, kind: str) -> None:
        self.launch, self.kind = launch, kind
        self._finished: set[str] = set()
        self._proven = False  # whether a run of the launch has progressed
        self._next_full_look = 0.0  # when all runs are looked at again, by time.monotonic
        self._stamps: tuple[tuple[int, ...], ...] = ()
        self.reload()

    def reload(self) -> None:
        """Read launch and plan again if another launcher has written them."""
        stamps = tuple(map(_stamp, (self.launch.folder / "launch.json", self.launch.plan_file)))
        if stamps != self._stamps:
            self.launch = read_launch(self.launch.folder)
            self.plan: StoredPlan = self.launch.plan()
            self._runs = {r.run_id: r for r in self.plan.runs}
            self._limits = MemoryLimits(self.plan.execution.device)
            self._stamps = stamps
            self.look_at_all()

    def look_at_all(self) -> None:
        """Make the next questions look at all runs, as something has happened."""
        self._next_full_look = 0.0

    def why_tripped(self) -> str | None:
        """Why the launch must not continue; None if it may.

        It looks at all runs at intervals, and always while a canary is not proven. Each look also
        reads the limits of memory.
        """
        canary = bool(self.launch.config.canary)
        if time.monotonic() < self._next_full_look and (self._proven or not canary):
            return None
        began = time.monotonic()
        reason = tripped(self._mine(), self.launch.launched, canary) or overspent(
            self.launch, self.plan
        )
        self._limits.read(self.plan.runs, self.launch.launched)
        self._next_full_look = time.monotonic() + LOOKS_APART * (time.monotonic() - began)
        return reason

    def look(self, most: float | None = None) -> Look:
        """The runs to begin now, in the order of the plan.

        Parameters
        ----------
        most : float, optional
            Number of ready runs after which it stops looking; default: a few packs.
        """
        verdicts: dict[str, Retry] = {}

        def gave_up(run: StoredRun) -> bool:
            run_id = run.run_id
            # Nothing waits for a run that this launch was not asked to train.
            is_ours = run_id in self.launch.classes
            when = verdict(run.folder, self.launch.launched).when if is_ours else Retry.NEVER
            verdicts[run_id] = when
            return when == Retry.NEVER

        reader = StateReader(self.plan.runs, gave_up, self._finished)
        ready: list[StoredRun] = []
        running: list[StoredRun] = []
        waits: set[str] = set()
        vanished = False
        for run in self._unfinished():
            state = reader.state(run)
            if state in FINISHED:
                self._finished.add(run.run_id)
            elif state == State.RUNNING:
                running.append(run)
                waits.add(state)
            elif state in TO_BEGIN and verdicts[run.run_id] == Retry.NOW:
                if run.folder.exists():  # it may have been removed since the plan was read
                    ready.append(run)
                    vanished = vanished or vanished_pack(run.folder) is not None
            elif state in TO_BEGIN:
                waits.add(Retry.LATER)
            elif state == State.WAITING:
                waits.add(state)
            # After a pack has vanished, all runs are read, as its members may be anywhere.
            if not vanished and len(ready) >= (self._most(ready) if most is None else most):
                break
        survived = without_survivors(ready, running)
        if len(survived) < len(ready):
            waits.add(Retry.LATER)
        return Look(survived, waits)

    def canaries(self, ready: list[StoredRun]) -> list[StoredRun]:
        """The runs that may be begun: a few packs until a run of the launch has progressed."""
        allowed = self.launch.config.canary
        if not allowed or not ready:
            return ready
        self._proven = self._proven or got_somewhere(self._mine(), self.launch.launched)
        if self._proven:
            return ready
        busy = {pack_of(r.folder) for r in self._mine() if r.folder.state() == State.RUNNING}
        size = self.size(ready[0])
        return companions(ready, size)[:size] if len(busy) < allowed else []

    def size(self, run: StoredRun) -> int:
        """The most members of a pack that a run may join, by plan and memory."""
        size = pack_size(self.launch.config, run)
        return size if size == 1 else int(min(size, self.limit(run.run_id).members))

    def limit(self, run_id: str) -> Limit:
        """The limits of memory for a run, known from runs of its shape in this launch."""
        return self._limits.of(self._runs[run_id])

    def pins(self, run_ids: Iterable[str]) -> dict[str, tuple[int, ...]]:
        """Steps of some runs whose checkpoints stay, for other runs or for probes."""
        runs = {run_id: self._runs[run_id] for run_id in run_ids}
        return {run_id: tuple(sorted({*r.pins, *r.kept})) for run_id, r in runs.items()}

    def _most(self, ready: list[StoredRun]) -> float:
        return max(LEAST_LOOK, PACKS_LOOK * self.size(ready[0])) if ready else float("inf")

    def _unfinished(self) -> Iterator[StoredRun]:
        """Runs of this class that were not finished when they were last looked at."""
        for run in self.plan.runs:
            run_id = run.run_id
            if run_id not in self._finished and self.launch.classes.get(run_id) == self.kind:
                yield run

    def _mine(self) -> list[StoredRun]:
        return [r for r in self.plan.runs if r.run_id in self.launch.classes]


def without_survivors(ready: list[StoredRun], running: list[StoredRun]) -> list[StoredRun]:
    """Ready runs without those whose pack vanished while leases of other members still hold.

    One process sends the heartbeats of all members, so the other leases will end soon as well; then
    the pack forms again whole.
    """
    vanished = {r.run_id: vanished_pack(r.folder) for r in ready if r.kind is not None}
    if not any(vanished.values()):
        return ready
    running_packs = {pack_of(r.folder) for r in running}
    return [r for r in ready if vanished.get(r.run_id) not in running_packs]


def _stamp(file: Path) -> tuple[int, ...]:
    """A value that changes when a file is replaced; empty if there is no file."""
    try:
        status = os.stat(file)
    except FileNotFoundError:
        return ()
    return status.st_ino, status.st_mtime_ns, status.st_size
