"""A run trained by another program: it gets a folder and a configuration, and writes a curve.

Identity, claims, retries, status and record are those of every other run; docs/trainers.md has
the contract. Below the run's folder:

    program/0001/           of attempt 1: config.json, lr.npy, validation_windows.npy, stdout.log,
                            stderr.log; and from the program curve.csv, progress.json, final.json
    program/checkpoints/    the program's checkpoints, kept across attempts
"""

from __future__ import annotations

import contextlib
import math
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from scalinglab.scaling.config import ExecutionConfig
from scalinglab.scaling.model.flops import flops_per_token
from scalinglab.scaling.records import machine
from scalinglab.scaling.records.claim import Claim
from scalinglab.scaling.records.failures import FailureClass
from scalinglab.scaling.records.identity import digest
from scalinglab.scaling.records.state import Outcome
from scalinglab.scaling.run.command_line import fill
from scalinglab.scaling.schedule.pieces import lr_array
from scalinglab.scaling.training import guardian
from scalinglab.scaling.training.child import user_environment, without_slurm
from scalinglab.scaling.training.endings import outcome, reason
from scalinglab.scaling.training.finish import finish
from scalinglab.scaling.training.program_config import write_config
from scalinglab.scaling.training.program_record import (
    read_curve,
    read_final,
    read_progress,
    stated_counts,
    stated_flops,
)

POLL_SECONDS = 0.2
GRACE_SECONDS = 45.0  # between SIGTERM and SIGKILL; a launch waits a minute for its workers
TRACE_LINES = 20
KILLED = {128 + signal.SIGKILL: "SIGKILL", 128 + signal.SIGTERM: "SIGTERM"}


class CommandFailed(Exception):
    """A program ended with an error: the last lines of its standard error are the traceback."""

    def __init__(self, text: str, tail: Sequence[str] = ()) -> None:
        super().__init__(text)
        if tail:
            self.add_note("\n".join(tail))
        # Failures are equal if exception (or words up to a colon) and exit code are.
        kind = re.sub(r"\d+", "#", tail[-1].partition(":")[0]) if tail else ""
        self.failure_signature = digest({"text": text.partition(":")[0], "kind": kind}, 8)
        if any("out of memory" in line.lower() for line in tail):
            self.failure_class = FailureClass.GPU_OOM


def train(
    claims: Sequence[Claim],
    pins: dict[str, Sequence[int]],
    execution: ExecutionConfig,
    should_stop: Callable[[], bool] = lambda: False,
) -> Outcome:
    """Train claimed runs with ``execution.command``.

    The arguments are those of `scalinglab.scaling.engine.trainer.trainer.train`; `pins` are
    ignored, as a program has its own checkpoints.
    """
    outcomes = [_train(claim, execution, should_stop) for claim in claims]
    return next((o for o in outcomes if o != Outcome.DONE), Outcome.DONE)


def _train(claim: Claim, execution: ExecutionConfig, should_stop: Callable[[], bool]) -> Outcome:
    facts: dict[str, Any] = {}
    try:
        program = Program(claim, execution)
        facts["micro_batch"] = program.config["micro_batch"]
        return program.run(should_stop)
    except CommandFailed as error:  # the traceback of this process is noise
        claim.release(Outcome.FAILED, error.with_traceback(None), **facts)
        return Outcome.FAILED
    except BaseException as error:
        claim.release(reason(error), error, **facts)
        return outcome(error)


class Program:
    """One attempt at a run by a program."""

    def __init__(self, claim: Claim, execution: ExecutionConfig) -> None:
        self.claim, self.execution = claim, execution
        self.spec = claim.folder.spec()
        self.lr = lr_array(self.spec.pieces)
        self.folder = claim.folder.path / "program" / f"{claim.number:04d}"
        self.config = write_config(claim, self.spec, execution, self.folder, self.lr)
        self.started = time.monotonic()
        self.earlier_seconds = sum(claim.folder.progress(n).seconds for n in range(1, claim.number))

    def run(self, should_stop: Callable[[], bool]) -> Outcome:
        """Start the program, wait for its end, and record its results."""
        outcome: Outcome | None = None
        process = self._start()
        deadline = float("inf")
        try:
            while process.poll() is None:
                if not self.claim.is_current():
                    self.claim.release(Outcome.LOST)
                    return Outcome.LOST
                if not outcome and (outcome := self._asked_to_stop(should_stop)):
                    os.killpg(process.pid, signal.SIGTERM)
                    deadline = time.monotonic() + GRACE_SECONDS
                if time.monotonic() > deadline:
                    break
                self._report()
                time.sleep(POLL_SECONDS)
        finally:
            _kill(process)
        self._report()
        code = process.returncode
        return self._end(code if code >= 0 else 128 - code, outcome)

    # ------------------------------------------------------------------ before

    def _start(self) -> subprocess.Popen[bytes]:
        words = fill(
            self.execution.command,
            {
                "config": self.folder / "config.json",
                "folder": self.folder,
                "checkpoints": self.config["checkpoints"],
                "program": self.config["program"],
                "python": sys.executable,
                "processes": self.execution.processes,
                "threads": self.execution.threads,
                "device": self.execution.device,
            },
        )
        environment = user_environment()
        if not self.execution.keep_slurm:
            environment = without_slurm(environment)
        with (
            (self.folder / "stdout.log").open("ab") as stdout,
            (self.folder / "stderr.log").open("ab") as stderr,
        ):
            return subprocess.Popen(
                # As a file and isolated (-I): it reads nothing of the program's environment.
                [sys.executable, "-I", guardian.__file__, *words],
                env=environment,
                stdin=subprocess.PIPE,
                stdout=stdout,
                stderr=stderr,
                start_new_session=True,
            )

    # ------------------------------------------------------------------ meanwhile

    def _asked_to_stop(self, should_stop: Callable[[], bool]) -> Outcome | None:
        if self.claim.is_cancelled():
            return Outcome.CANCELLED
        return Outcome.INTERRUPTED if should_stop() else None

    def _report(self) -> None:
        seconds = time.monotonic() - self.started
        progress: dict[str, Any] = read_progress(self.folder)
        if math.isfinite(progress.get("step", math.nan)):
            progress = {
                "steps": self.config["steps"],
                "loss": float("nan"),
                "tokens_per_second": float("nan"),
                **progress,
                "step": int(progress["step"]),
            }
        self.claim.report({**progress, "seconds": seconds})

    # ------------------------------------------------------------------ after

    def _end(self, code: int, outcome: Outcome | None) -> Outcome:
        if code != 0:
            if outcome:
                self.claim.release(outcome)
                return outcome
            return self._failed(code)
        try:
            final = read_final(self.folder)
            curve = read_curve(self.folder, self.config["steps"], final)
        except ValueError:
            if not outcome:
                raise
            self.claim.release(outcome)  # it has saved, and is not finished
            return outcome
        facts = self._facts(final, len(curve.loss))
        is_first = finish(self.claim, self.spec, curve, self.lr, facts)
        return Outcome.DONE if is_first else Outcome.LOST

    def _failed(self, code: int) -> Outcome:
        tail = _last_lines(self.folder / "stderr.log")
        if code in KILLED:  # killed, which is no error of the run
            error = CommandFailed(f"the program was killed by {KILLED[code]}", tail)
            self.claim.release(Outcome.INTERRUPTED, error)
            return Outcome.INTERRUPTED
        last = tail[-1].strip() if tail else "nothing on its standard error"
        raise CommandFailed(f"the program ended with exit code {code}: {last}", tail)

    def _facts(self, final: dict[str, Any], steps: int) -> dict[str, Any]:
        """Facts of the attempt for the record; those that the program reports take precedence."""
        seconds = time.monotonic() - self.started
        counts = stated_counts(final, self.spec.counts)
        flops = stated_flops(final, counts)
        counted: dict[str, Any] = {"counts": counts, "flops": flops}
        if counts or flops:
            counted["counts_from"] = self.config["program"]
        started_at = final.get("started_at_step", 0)
        rate = final.get("tokens_per_second")
        if rate is None:
            rate = (steps - started_at) * self.config["tokens_per_step"] / seconds
        return {
            "started_at_step": started_at,
            "throughput": {
                "seconds": self.earlier_seconds + final.get("seconds", seconds),
                "steps": steps - started_at,
                "tokens_per_second": rate,
                "flops_per_second": rate * flops_per_token(flops or self.spec.flops, "palm"),
                "members": 1,
            },
            "machine": {
                "host": machine.host(),
                "processor": machine.processor(),
                "device": self.execution.device,
                "threads": self.execution.threads,
                "engine": "command",
                "processes": self.execution.processes,
                "micro_batch": self.config["micro_batch"],
                "peak_memory_bytes": final.get("peak_memory_bytes"),
            },
            "versions": final.get("versions", {}),
            "code": {
                "commit": machine.code_commit(),
                # The engine's fingerprint does not apply, as it has made none of these numbers.
                "fingerprint": final.get("fingerprint", f"program {self.config['program']}"),
            },
            "program": {"command": self.execution.command, "final": final},
            "extra": final.get("metrics", {}),
            **{key: value for key, value in counted.items() if value is not None},
        }


def _kill(process: subprocess.Popen[bytes]) -> None:
    """Kill the remaining processes of a group."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    assert process.stdin is not None
    process.stdin.close()


def _last_lines(path: Path) -> list[str]:
    """The last lines of a log that are not empty."""
    with path.open("rb") as log:
        log.seek(max(0, path.stat().st_size - 16_384))
        lines = log.read().decode(errors="replace").splitlines()
    return [line for line in lines if line.strip()][-TRACE_LINES:]
