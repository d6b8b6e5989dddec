"""The folder of one run: the truth about it, from which its state is derived.

    <outputs>/runs/<run_id>/
        run.json            what to train: science, config, shape; written once
        attempts/0001.json  attempt 1 was claimed: by whom, when
        attempts/0001.beat  its heartbeat: the file's time, and the progress as JSON
        attempts/0001.end   how it ended, if it could say so: reason, traceback
        attempts/0001.cancel  a person cancelled it: it saves and ends
        record-0001.json    its result, for the analysis
        curve-0001.csv.gz
        STOPPED             a rule stopped the run early: the reason, and the forecast
        DONE                names the one attempt whose record counts; written last

Any process may read any of these files at any time.
"""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Any

from scalinglab.scaling.records import machine
from scalinglab.scaling.records.atomic import create_exclusive, read_json, server_time
from scalinglab.scaling.records.attempt import END, OWNER, PROGRESS, Attempt, End, Owner, Progress
from scalinglab.scaling.records.damage import (
    DamagedFile,
    check_shape,
    reading,
    sealed,
    tell,
)
from scalinglab.scaling.records.record import Record, read_record
from scalinglab.scaling.records.run_end import Done, Stop, file_hash, read_done, read_stop
from scalinglab.scaling.records.spec import RunSpec, read_spec
from scalinglab.scaling.records.state import Outcome, State

_ATTEMPT_FILE = re.compile(r"(\d+)\.(?:json|beat|end|cancel)")
_undamaged: dict[Path, list[tuple[int, int, int] | None]] = {}  # folder -> marks of intact files
_DEFAULT_LEASE = 60.0  # seconds, of an attempt whose own lease cannot be read


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
        """The file that the end of the run creates."""
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
            return read_done(self.done_file)
        except FileNotFoundError:
            return None

    def state_damage(self) -> DamagedFile | None:
        """Damage to run.json, DONE or STOPPED, or None.

        The files are only read again if they have changed, so that frequent calls are cheap.
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
        """Damage to the record or the curve that DONE names, or None; both are read as a whole."""
        try:
            if self.done() is not None:
                self.record(), self.curve_file()
        except DamagedFile as error:
            return error
        return None

    def stop(self, why: dict[str, Any]) -> None:
        """Stop the run before its end; the first reason is kept.

        Until `take_up` launches skip the run, and the analysis counts it as censored.
        """
        create_exclusive(self.path / "STOPPED", sealed(why))

    def take_up(self) -> None:
        """Forget that the run was stopped."""
        (self.path / "STOPPED").unlink(missing_ok=True)

    def stopped(self) -> Stop | None:
        """Content of STOPPED, or None."""
        try:
            return read_stop(self.path / "STOPPED")
        except FileNotFoundError:
            return None

    def latest_attempt(self) -> Attempt | None:
        """The attempt with the highest number, or None."""
        numbers = self.attempt_numbers()
        return self.attempt(numbers[-1]) if numbers else None

    def attempt_numbers(self) -> list[int]:
        """Numbers of all attempts, in order; any of its files shows that an attempt existed."""
        try:
            names = os.listdir(self.attempts)
        except FileNotFoundError:
            return []
        return sorted({int(m[1]) for m in map(_ATTEMPT_FILE.fullmatch, names) if m})

    def attempt(self, number: int) -> Attempt:
        """One attempt, by its number.

        Damage to these files does not concern the run's numbers, so the run goes on: an unknown
        owner holds it as long as its heart beats, and an unknown end counts as an interruption.
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
        """The progress in the attempt's heartbeat, for display only; empty if it is damaged."""
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

        It does not if it has recorded its end, if its process is gone from this host, or if its
        last heartbeat is older than its lease.
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
        """The state of the run; `State.WAITING` needs a plan and is never returned."""
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

    def _recorded(self, kind: str) -> Path:
        done = read_done(self.done_file)
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
    """Size, time and inode of a file, which change with its content; None if there is no file."""
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
    """Whether the owner was an earlier start of this very SLURM job, and so has ended."""
    own_job, job = machine.slurm_job(), owner.job
    return own_job is not None and job is not None and job[0] == own_job[0] and job[1] < own_job[1]
