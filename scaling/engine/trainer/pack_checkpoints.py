"""The checkpoints of a pack: where it resumes, when it saves, and which files it removes."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from scalinglab.scaling.engine.steps.engine import Engine
from scalinglab.scaling.engine.trainer.checkpoint import Checkpoint
from scalinglab.scaling.engine.trainer.initial import begun_with
from scalinglab.scaling.engine.trainer.member import MemberRun
from scalinglab.scaling.extensions.used import used_by
from scalinglab.scaling.records.identity import prefix_id
from scalinglab.scaling.records.prefixes import checkpoint_path
from scalinglab.scaling.training.saver import Saver


@dataclass(frozen=True)
class SavedPack:
    """Checkpoints of one step: member -> the path that is kept; `latest` ones are not pinned."""

    step: int
    latest: bool
    paths: dict[MemberRun, Path]


class PackCheckpoints:
    """Loads the members of a pack at a common step, and saves them while they train.

    Parameters
    ----------
    members : sequence of MemberRun
    engine : Engine
        Holds the members' state.
    write : callable
        Writes the checkpoint of a member, by its index, to a path; the path that is to be kept.
    report : callable
        Reports `saved` of all members.
    seconds : float
        Shortest interval between two saves.
    writes_aside : bool
        Whether a thread may write.

    Attributes
    ----------
    start : int
        Step at which this attempt starts.
    saved : int
        Step at which all unfinished members were last saved.
    """

    def __init__(
        self,
        members: Sequence[MemberRun],
        engine: Engine,
        write: Callable[[Path, int, Checkpoint], Path],
        report: Callable[[], None],
        seconds: float,
        writes_aside: bool,
    ) -> None:
        self._members, self._engine = members, engine
        self._write, self._report = write, report
        self._saver: Saver[SavedPack] = Saver(seconds, writes_aside)
        self.start = self.saved = self._resume()

    def save_if_due(self) -> None:
        """Save pinned steps always, and the latest state as often as it is worth its time."""
        self.settle()
        if pinned := [m for m in self._unfinished() if self._engine.steps_done in m.pins]:
            self.settle(wait=True)
            self._start_saving(pinned, latest=False)
        if self._saver.is_due():
            self._save_latest()

    def save_last(self) -> None:
        """Save the latest state, unless it is saved, and wait until it is on the disk."""
        self.settle(wait=True)
        if self.saved != self._engine.steps_done:
            self._save_latest()
            self.settle(wait=True)

    def save_now(self, members: Sequence[MemberRun]) -> None:
        """Save the latest state of some members, and wait until it is on the disk."""
        self.settle(wait=True)
        self._start_saving(members, latest=True)
        self.settle(wait=True)

    def settle(self, wait: bool = False) -> None:
        """Remove replaced checkpoints, but only once all members are saved.

        So after a kill at any moment there is a step that all members have.
        """
        written = self._saver.settle(wait)
        if written is None or not written.latest:
            return
        if set(self._unfinished()) <= set(written.paths):
            self.saved = written.step
            self._report()  # before anything is removed
        for member, path in written.paths.items():
            if not member.finished and member.claim.is_current():
                member.remove_latest(keep=path)

    def drop(self) -> None:
        """Wait for what is being written, whether it succeeds or not."""
        self._saver.drop()

    def _unfinished(self) -> list[MemberRun]:
        return [m for m in self._members if not m.finished]

    def _resume(self) -> int:
        """Load all members at the last step that each of them has; returns that step."""
        last = self._members[0].steps
        checkpoints = [m.furthest(last) for m in self._members]
        steps = {0 if c is None else c.step for c in checkpoints}
        while len(steps) > 1:
            checkpoints = [m.furthest(min(steps)) for m in self._members]
            steps = {0 if c is None else c.step for c in checkpoints}
        for i, (member, checkpoint) in enumerate(zip(self._members, checkpoints, strict=True)):
            if checkpoint is not None:
                self._engine.load(i, checkpoint.state, checkpoint.step)
                member.curve = checkpoint.curve
            elif member.spec.initial is not None:
                weights = begun_with(member.outputs, member.spec)
                self._engine.begin(i, list(weights), weights)
        return steps.pop()

    def _save_latest(self) -> None:
        self._saver.restart()
        if self._engine.steps_done > self.start:
            self._start_saving(self._unfinished(), latest=True)

    def _start_saving(self, members: Sequence[MemberRun], latest: bool) -> None:
        """Copy the state of some members, and write the copies now or while training goes on.

        An existing file is replaced: this run would have started from it, had it been readable.
        """
        began, step = time.monotonic(), self._engine.steps_done
        snapshots = {m: self._snapshot(m, m.spec.run_id if latest else "") for m in members}

        def write() -> SavedPack:
            paths = {
                m: self._write(path, self._members.index(m), checkpoint)
                for m, (path, checkpoint) in snapshots.items()
            }
            return SavedPack(step, latest, paths)

        size = sum(
            t.nbytes for _, checkpoint in snapshots.values() for t in checkpoint.state.values()
        )
        self._saver.start(write, size, began)
        self.settle()

    def _snapshot(self, member: MemberRun, owner: str) -> tuple[Path, Checkpoint]:
        """Where a member's checkpoint belongs, and a copy of its state and curve."""
        curve = replace(
            member.curve,
            validation=dict(member.curve.validation),
            measured=dict(member.curve.measured),
        )
        step, science = self._engine.steps_done, member.spec.science
        state = self._engine.state(self._members.index(member))
        path = checkpoint_path(member.outputs, science, step, owner)
        made_by = used_by(science)
        return path, Checkpoint(step, prefix_id(science, step), state, curve, made_by)
