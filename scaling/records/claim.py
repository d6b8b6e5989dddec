"""One process's right to train a run: an attempt number that no other process has.

A claim is a file ``attempts/<n>.json`` created by a hard link: of any number of processes that
try for number n one wins. The number is a fencing token: a holder that was paused beyond its lease
may wake up while its successor trains; it finds the higher number and stops. If both reach the end,
only one can create DONE, which names the attempt whose files count.
"""

from __future__ import annotations

import contextlib
import os
import sys
import threading
import time
import traceback
from typing import Any

from scalinglab.scaling.records import machine
from scalinglab.scaling.records.atomic import create_exclusive, server_time, write_json
from scalinglab.scaling.records.damage import sealed
from scalinglab.scaling.records.failures import classify, signature
from scalinglab.scaling.records.processes import this_process
from scalinglab.scaling.records.run_end import file_hash
from scalinglab.scaling.records.run_folder import RunFolder
from scalinglab.scaling.records.state import Outcome, State

BEATS_A_LEASE = 6
HUNG = 1  # exit code of a hanging process: a pool replaces it, a SLURM task counts as failed


class ClaimLost(Exception):
    """Another attempt has taken the run over."""


class Claim:
    """A held attempt; beats until it is finished or released.

    Use ``Claim.acquire``; do not construct.
    """

    def __init__(self, folder: RunFolder, number: int, lease_seconds: float) -> None:
        self.folder = folder
        self.number = number
        self._progress: dict[str, Any] = {}
        self._reported = time.monotonic()
        self._patience = float("inf")
        self._stop = threading.Event()
        self._beat()
        self._thread = threading.Thread(
            target=self._beat_until_stopped, args=(lease_seconds / BEATS_A_LEASE,), daemon=True
        )
        self._thread.start()

    @classmethod
    def acquire(cls, folder: RunFolder, lease_seconds: float) -> Claim | None:
        """Claim a run; None if it is done, held, or claimed by a faster process."""
        if folder.done() is not None:
            return None
        latest = folder.latest_attempt()
        if latest is not None and folder.is_alive(latest):
            return None
        number = 1 if latest is None else latest.number + 1
        owner = {
            **this_process().to_dict(),
            "node": machine.node(),
            "job": machine.slurm_job(),
            "log": os.environ.get("SCALING_LOG"),
            "started": server_time(folder.outputs),
            "lease_seconds": lease_seconds,
        }
        if not create_exclusive(folder.attempt_file(number, "json"), sealed(owner)):
            return None
        claim = cls(folder, number, lease_seconds)
        if folder.done() is not None:  # the previous holder finished meanwhile
            claim.release(Outcome.LOST)
            return None
        return claim

    def is_current(self) -> bool:
        """Whether no higher attempt exists."""
        return not self.folder.attempt_file(self.number + 1, "json").exists()

    def check(self) -> None:
        """Raise `ClaimLost` if another attempt has taken over."""
        if not self.is_current():
            raise ClaimLost(f"run {self.folder.run_id}: attempt {self.number} was superseded")

    def is_cancelled(self) -> bool:
        """Whether a person has asked this attempt to save and end."""
        return self.folder.attempt_file(self.number, "cancel").exists()

    def expect_reports(self, every: float) -> None:
        """Treat this process as hanging if it reports nothing for so many seconds.

        A collective that waits for a lost rank, or a file server that never answers, would hold the
        run for ever while this thread beats. The process says where it stands and ends; the run is
        tried again from its last checkpoint.
        """
        self._reported, self._patience = time.monotonic(), every

    def report(self, progress: dict[str, Any]) -> None:
        """Write the progress to the heartbeat."""
        self._reported = time.monotonic()
        self._progress = progress
        self._try_to_beat()

    def report_end(self, step: int) -> None:
        """Add the step at which the attempt broke off to its last report."""
        self.report({**self._progress, "step": step})

    def finish(self, status: State, steps: int, files: dict[str, str]) -> bool:
        """Write DONE, naming this attempt's files; False if another attempt was first.

        Parameters
        ----------
        status : State
            Done or diverged.
        steps : int
            Steps in the record.
        files : dict
            ``record`` and ``curve``: names of files in the run folder.
        """
        self.check()
        hashes = {name: file_hash(self.folder.path / name) for name in files.values()}
        content = {
            "attempt": self.number,
            "status": status,
            "steps": steps,
            **files,
            "sha256": hashes,
        }
        is_first = create_exclusive(self.folder.done_file, sealed(content))
        self.release(Outcome(status) if is_first else Outcome.LOST)
        return is_first

    def release(self, reason: Outcome, error: BaseException | None = None, **facts: Any) -> None:
        """Stop the heartbeat and write how the attempt ended; `facts` are for the next attempt."""
        self._stop.set()
        self._thread.join()
        self._write_end(reason, error, facts)

    def _write_end(
        self, reason: Outcome, error: BaseException | None, facts: dict[str, Any]
    ) -> None:
        end: dict[str, Any] = {"reason": reason, "ended": server_time(self.folder.outputs), **facts}
        if error is not None:
            end["error"] = f"{type(error).__name__}: {error}"
            end["traceback"] = "".join(traceback.format_exception(error))
            end["class"], end["signature"] = classify(error), signature(error)
        write_json(self.folder.attempt_file(self.number, "end"), end)

    def _beat(self) -> None:
        # Only for display and for its time: replaced without flushing, so that it is cheap.
        beat = self.folder.attempt_file(self.number, "beat")
        aside = beat.with_name(f".{beat.name}.{threading.get_ident()}")
        aside.write_text(sealed(self._progress, allow_nan=True))
        os.replace(aside, beat)

    def _beat_until_stopped(self, interval: float) -> None:
        while not self._stop.wait(interval):
            if not self.is_current():
                return
            if time.monotonic() - self._reported > self._patience:
                self._give_up()
            self._try_to_beat()

    def _give_up(self) -> None:
        """End this process, whose training hangs, and write the tracebacks of its threads."""
        names = {thread.ident: thread.name for thread in threading.enumerate()}
        stacks = [
            f"thread {names.get(i, i)}:\n" + "".join(traceback.format_stack(frame))
            for i, frame in sys._current_frames().items()
            if i != threading.get_ident()
        ]
        hung = TimeoutError(f"no progress for {self._patience:g} s")
        hung.add_note("\n".join(stacks))
        self._write_end(Outcome.FAILED, hung, {})
        os._exit(HUNG)

    def _try_to_beat(self) -> None:
        # A full disk or a slow file server may recover; otherwise the lease ends.
        with contextlib.suppress(OSError):
            self._beat()
