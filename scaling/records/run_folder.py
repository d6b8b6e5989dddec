"""The folder of one run: the truth about it, from which its state is derived.

    <outputs>/runs/<run_id>/
        run.json            what to train: science, config, shape; written once
        attempts/0001.json  attempt 1 was claimed: by whom, when
        attempts/0001.beat  its heartbeat: the file's time, and the progress as JSON
        attempts/0001.end   how it ended, if it could say so: reason, traceback
        attempts/0001.cancel  a person wants it to end: it saves and leaves
        record-0001.json    what it leaves for the analysis
        curve-0001.csv.gz
        STOPPED             a person's rule ended it before its end: why, and what was forecast
        DONE                names the one attempt whose record counts; written last

Everything here is standard library and may be read by any process at any time.
"""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from scalinglab.scaling.records import machine
from scalinglab.scaling.records.atomic import create_exclusive, read_json, server_time
from scalinglab.scaling.records.attempt import END, OWNER, PROGRESS, Attempt, End, Owner, Progress
from scalinglab.scaling.records.damage import (
    DamagedFile,
    Shape,
    check_shape,
    reading,
    sealed,
    tell,
)
from scalinglab.scaling.records.record import Record, read_record
from scalinglab.scaling.records.spec import RunSpec, known_fields, read_spec
from scalinglab.scaling.records.state import FINISHED, Outcome, State

_DONE: Shape = {
    "attempt": int,
    "status": str,
    "steps": int,
    "record": str,
    "curve": str,
    "sha256": dict,
}
_ATTEMPT_FILE = re.compile(r"(\d+)\.(?:json|beat|end|cancel)")
_undamaged: dict[Path, list[tuple[int, int, int] | None]] = {}
_DEFAULT_LEASE = 60.0  # of an attempt that cannot be read any more


@dataclass(frozen=True)
class Done:
    """Content of DONE: the one attempt whose record counts.

    Attributes
    ----------
    attempt : int
    status : State
        Done or diverged.
    steps : int
        Steps in the record.
    record, curve : str
        Names of files in the run's folder.
    sha256 : mapping
        Name -> hash of each.
    """

    attempt: int
    status: State
    steps: int
    record: str
    curve: str
    sha256: Mapping[str, str]

    @property
    def curve_hash(self) -> str:
        """Hash of the curve."""
        return self.sha256[self.curve]


@dataclass(frozen=True)
class Stop:
    """Why a run is not trained to its end: the step it had come to, and all that was said."""

    step: int
    why: Mapping[str, Any]


class RunFolder:
    """Paths and derived state of one run.

    Parameters
    ----------
    path : Path
        ``<outputs>/runs/<run_id>``.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.run_id = path.name
        self.attempts = path / "attempts"

    @property
    def done_file(self) -> Path:
        """What its end creates."""
        return self.path / "DONE"

    @property
    def outputs(self) -> Path:
        """The folder that holds all runs, stores, checkpoints and studies."""
        return self.path.parent.parent

    def describe(self, run: RunSpec) -> None:
        """Write run.json, once; a second writer of the same run changes nothing."""
        path = self.path / "run.json"
        if not path.exists():
            create_exclusive(path, sealed(run.to_dict()))

    def exists(self) -> bool:
        """Whether run.json is there: a folder may have been removed by hand."""
        return (self.path / "run.json").exists()

    def spec(self) -> RunSpec:
        """Read run.json.

        Raises
        ------
        DamagedFile
            Also if its science is not that of the run's id: it would be trained under a wrong name.
        """
        path = self.path / "run.json"
        return read_spec(path, read_json(path))

    def settings(self) -> RunSpec:
        """The run as its record repeats it, once it has one, else as run.json describes it."""
        return self.spec() if self.done() is None else self.record().spec

    def done(self) -> Done | None:
        """Content of DONE, or None."""
        try:
            return self._done()
        except FileNotFoundError:
            return None

    def state_damage(self) -> DamagedFile | None:
        """What is damaged of the files that say what the run is and whether it has ended.

        They are read again when they have changed only, so that asking often costs little.
        """
        marks = [_mark(self.path / name) for name in ("run.json", "DONE", "STOPPED")]
        if _undamaged.get(self.path) == marks:
            return None
        try:
            self.spec(), self.done(), self.stopped()
        except DamagedFile as error:
            return error
        _undamaged[self.path] = marks
        return None

    def result_damage(self) -> DamagedFile | None:
        """What is damaged of the record and the curve that DONE names; both are read whole."""
        try:
            if self.done() is not None:
                self.record(), self.curve_file()
        except DamagedFile as error:
            return error
        return None

    def stop(self, why: dict[str, Any]) -> None:
        """Say that the run is not to be trained to its end; the first word counts.

        It stays so until `take_up`: a launch passes it by, the analysis takes it as censored.
        """
        create_exclusive(self.path / "STOPPED", sealed(why))

    def take_up(self) -> None:
        """Forget that the run was stopped."""
        (self.path / "STOPPED").unlink(missing_ok=True)

    def stopped(self) -> Stop | None:
        """Why the run was stopped, or None."""
        try:
            why = read_json(self.path / "STOPPED", {})
        except FileNotFoundError:
            return None
        with reading(self.path / "STOPPED", "its step is no number"):
            return Stop(int(why.get("step", 0)), why)

    def latest_attempt(self) -> Attempt | None:
        """The attempt with the highest number, or None."""
        numbers = self.attempt_numbers()
        return self.attempt(numbers[-1]) if numbers else None

    def attempt_numbers(self) -> list[int]:
        """Numbers of all attempts, in order; of one whose claim was lost its other files tell."""
        try:
            names = os.listdir(self.attempts)
        except FileNotFoundError:
            return []
        return sorted({int(m[1]) for m in map(_ATTEMPT_FILE.fullmatch, names) if m})

    def attempt(self, number: int) -> Attempt:
        """One attempt, by its number.

        What cannot be read says nothing of the run's numbers, so the run goes on: an unknown owner
        holds it as long as its heart beats, an unknown end was an interruption.
        """
        path = self.attempt_file(number, "json")
        try:
            with reading(path, "it names no process"):
                owner = Owner.from_dict(read_json(path, OWNER))
        except (DamagedFile, FileNotFoundError) as error:
            if isinstance(error, DamagedFile):
                tell(error, "taken for an attempt of an unknown process")
            owner = Owner("unknown", "", 0, started=_modified(path), lease_seconds=_DEFAULT_LEASE)
        path = self.attempt_file(number, "end")
        end = None
        try:
            end = _read_end(path)
        except FileNotFoundError:
            pass
        except DamagedFile as error:
            tell(error, "taken for an attempt that was interrupted")
            end = End(Outcome.INTERRUPTED, _modified(path))
        return Attempt(number, owner, end)

    def attempt_file(self, number: int, suffix: str) -> Path:
        """Path of one of an attempt's files."""
        return self.attempts / f"{number:04d}.{suffix}"

    def progress(self, number: int) -> Progress:
        """What the attempt last said of itself, for display only; nothing if it is damaged."""
        path = self.attempt_file(number, "beat")
        try:
            stored = read_json(path, {})
            check_shape(path, stored, {k: t for k, t in PROGRESS.items() if k in stored})
            with reading(path, "it tells no progress"):
                return Progress.from_dict(stored)
        except (FileNotFoundError, DamagedFile):  # it is never flushed
            return Progress()

    def is_alive(self, attempt: Attempt) -> bool:
        """Whether an attempt still holds the run.

        Dead if it said that it ended, if its process is gone from this host, or if its heart has
        not beaten for longer than its lease.
        """
        owner = attempt.owner
        if attempt.end is not None or _was_requeued(owner) or owner.has_ended:
            return False
        try:
            beat = self.attempt_file(attempt.number, "beat").stat().st_mtime
        except FileNotFoundError:
            beat = owner.started
        return server_time(self.outputs) - beat < owner.lease_seconds

    def state(self) -> State:
        """Any but waiting, which only a plan can know."""
        try:
            done, stopped = self.done(), self.stopped()
        except DamagedFile:
            return State.DAMAGED
        if done is not None:
            return done.status
        attempt = self.latest_attempt()
        if attempt is not None and self.is_alive(attempt):
            return State.RUNNING
        if stopped is not None:
            return State.STOPPED
        if attempt is None:
            return State.PLANNED
        return State.INTERRUPTED if attempt.failure is None else State.FAILED

    def record(self) -> Record:
        """The record that DONE names.

        Raises
        ------
        FileNotFoundError
            If the run is not done.
        DamagedFile
            If the file is not the one that was recorded, or is no record.
        """
        path = self._recorded("record")
        return read_record(path, read_json(path, {}))

    def curve_file(self) -> Path:
        """Path of the curve that DONE names; raises as `record` does."""
        return self._recorded("curve")

    def _done(self) -> Done:
        stored = read_json(self.done_file, _DONE)
        if stored["status"] not in FINISHED:
            raise DamagedFile(self.done_file, f"status = {stored['status']!r} is no end of a run")
        return known_fields(Done, {**stored, "status": State(stored["status"])})

    def _recorded(self, kind: str) -> Path:
        done = self._done()
        name = done.record if kind == "record" else done.curve
        path = self.path / name
        if not path.is_file():
            raise DamagedFile(path, "it is gone, though DONE names it")
        if file_hash(path) != done.sha256.get(name):
            raise DamagedFile(path, "it was changed after the run had recorded it")
        return path


def _read_end(path: Path) -> End:
    stored = read_json(path, END)
    with reading(path, "it tells no end"):
        return End.from_dict(stored)


def _mark(path: Path) -> tuple[int, int, int] | None:
    """What changes when a file does; None if it is not there."""
    try:
        stat = path.stat()
    except FileNotFoundError:
        return None
    return stat.st_size, stat.st_mtime_ns, stat.st_ino


def _modified(path: Path) -> float:
    """When a file was last written, by the clock of the file server; 0 if it is gone."""
    try:
        return path.stat().st_mtime
    except FileNotFoundError:
        return 0.0


def _was_requeued(owner: Owner) -> bool:
    """Whether the owner was an earlier life of this very SLURM job: it cannot be running, too."""
    here, job = machine.slurm_job(), owner.job
    return here is not None and job is not None and job[0] == here[0] and job[1] < here[1]


def file_hash(path: Path) -> str:
    """SHA-256 of a file's content."""
    return hashlib.sha256(path.read_bytes()).hexdigest()
