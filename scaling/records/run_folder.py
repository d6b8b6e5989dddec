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
import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from scaling.records import machine
from scaling.records.atomic import create_exclusive, read_json, server_time

STATES = ("done", "diverged", "running", "stopped", "failed", "interrupted", "blocked", "planned")


@dataclass(frozen=True)
class Attempt:
    """One try at a run by one process.

    Attributes
    ----------
    number : int
        From 1; the fencing token.
    owner : dict
        ``host, boot, process_space, pid, process_start, node, job, log, started,
        lease_seconds``.
    end : dict or None
        ``reason`` ("done", "diverged", "interrupted", "cancelled", "failed", "lost"), ``ended``;
        of a failure ``error``, ``traceback``, ``class``, ``signature``
        (``scaling.records.failures``).
    """

    number: int
    owner: dict[str, Any]
    end: dict[str, Any] | None


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
        self.done_file = path / "DONE"

    @property
    def outputs(self) -> Path:
        """The folder that holds all runs, stores, checkpoints and studies."""
        return self.path.parent.parent

    def describe(self, run: dict[str, Any]) -> None:
        """Write run.json, once; a second writer of the same run changes nothing."""
        path = self.path / "run.json"
        if not path.exists():
            create_exclusive(path, json.dumps(run, indent=1, allow_nan=False) + "\n")

    def exists(self) -> bool:
        """Whether run.json is there: a folder may have been removed by hand."""
        return (self.path / "run.json").exists()

    def description(self) -> dict[str, Any]:
        """Read run.json."""
        return read_json(self.path / "run.json")

    def done(self) -> dict[str, Any] | None:
        """Content of DONE, or None: ``attempt, status, steps, files``."""
        try:
            return read_json(self.done_file)
        except FileNotFoundError:
            return None

    def stop(self, why: dict[str, Any]) -> None:
        """Say that the run is not to be trained to its end; the first word counts.

        It stays so until `take_up`: a launch passes it by, the analysis takes it as censored.
        """
        content = json.dumps(why, indent=1, allow_nan=False) + "\n"
        create_exclusive(self.path / "STOPPED", content)

    def take_up(self) -> None:
        """Forget that the run was stopped."""
        (self.path / "STOPPED").unlink(missing_ok=True)

    def stopped(self) -> dict[str, Any] | None:
        """Why the run was stopped, or None."""
        try:
            return read_json(self.path / "STOPPED")
        except FileNotFoundError:
            return None

    def latest_attempt(self) -> Attempt | None:
        """The attempt with the highest number, or None."""
        numbers = self.attempt_numbers()
        return self.attempt(numbers[-1]) if numbers else None

    def attempt_numbers(self) -> list[int]:
        """Numbers of all attempts, in order."""
        try:
            names = os.listdir(self.attempts)
        except FileNotFoundError:
            return []
        return sorted(int(n[:-5]) for n in names if n.endswith(".json") and n[:-5].isdecimal())

    def attempt(self, number: int) -> Attempt:
        """One attempt, by its number."""
        owner = read_json(self.attempt_file(number, "json"))
        try:
            end = read_json(self.attempt_file(number, "end"))
        except FileNotFoundError:
            end = None
        return Attempt(number, owner, end)

    def attempt_file(self, number: int, suffix: str) -> Path:
        """Path of one of an attempt's files."""
        return self.attempts / f"{number:04d}.{suffix}"

    def progress(self, number: int) -> dict[str, Any]:
        """What the attempt last said of itself; for display only."""
        try:
            return read_json(self.attempt_file(number, "beat"))
        except (FileNotFoundError, json.JSONDecodeError):
            return {}

    def is_alive(self, attempt: Attempt) -> bool:
        """Whether an attempt still holds the run.

        Dead if it said that it ended, if its process is gone from this host, or if its heart has
        not beaten for longer than its lease.
        """
        owner = attempt.owner
        if attempt.end is not None or _was_requeued(owner):
            return False
        if owner["host"] == machine.host():
            if owner["boot"] != machine.boot():
                return False
            seen = owner.get("process_space") == machine.process_space()
            if seen and machine.process_start(owner["pid"]) != owner["process_start"]:
                return False
        try:
            beat = self.attempt_file(attempt.number, "beat").stat().st_mtime
        except FileNotFoundError:
            beat = owner["started"]
        return server_time(self.outputs) - beat < owner["lease_seconds"]

    def state(self) -> str:
        """One of ``STATES`` except "blocked", which only a plan can know."""
        done = self.done()
        if done is not None:
            return done["status"]
        attempt = self.latest_attempt()
        if attempt is not None and self.is_alive(attempt):
            return "running"
        if self.stopped() is not None:
            return "stopped"
        if attempt is None:
            return "planned"
        failed = attempt.end is not None and attempt.end["reason"] == "failed"
        return "failed" if failed else "interrupted"

    def record(self) -> dict[str, Any]:
        """The record that DONE names.

        Raises
        ------
        FileNotFoundError
            If the run is not done.
        ValueError
            If the file is not the one that was recorded.
        """
        return read_json(self._recorded("record"))

    def curve_file(self) -> Path:
        """Path of the curve that DONE names; raises as `record` does."""
        return self._recorded("curve")

    def _recorded(self, kind: str) -> Path:
        done = read_json(self.done_file)
        path = self.path / done[kind]
        if file_hash(path) != done["sha256"][done[kind]]:
            raise ValueError(f"{path} was changed after the run had recorded it")
        return path


def _was_requeued(owner: dict[str, Any]) -> bool:
    """Whether the owner was an earlier life of this very SLURM job: it cannot be running, too."""
    here, there = machine.slurm_job(), owner.get("job")
    return here is not None and there is not None and there[0] == here[0] and there[1] < here[1]


def file_hash(path: Path) -> str:
    """SHA-256 of a file's content."""
    return hashlib.sha256(path.read_bytes()).hexdigest()
