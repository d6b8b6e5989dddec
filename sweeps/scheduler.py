"""What SLURM is asked and told, by its own commands. It is a witness: run folders are the truth.

There are three answers: a job is there, it is not, or SLURM does not say. "Does not say" (None)
changes nothing anywhere.
"""

from __future__ import annotations

import re
import subprocess
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

TIMEOUT_SECONDS = 60.0
# Arguments of one command stay short, and answers come in one call, however many jobs there are.
JOBS_A_CALL = 100


@dataclass(frozen=True)
class Job:
    """One task in SLURM's queue, as ``squeue`` tells it."""

    job: str
    state: str
    reason: str
    node: str
    name: str


class TokenBucket:
    """Lets `burst` calls through at once and then one every `seconds`: clusters count calls."""

    def __init__(self, burst: int, seconds: float) -> None:
        self.burst, self.seconds = burst, seconds
        self._tokens, self._at = float(burst), time.monotonic()

    def take(self) -> None:
        """Wait until a call is allowed."""
        now = time.monotonic()
        self._tokens = min(self.burst, self._tokens + (now - self._at) / self.seconds)
        self._at = now
        if self._tokens < 1:
            time.sleep((1 - self._tokens) * self.seconds)
            self._tokens, self._at = 1.0, time.monotonic()
        self._tokens -= 1


def jobs(prefix: str) -> list[Job] | None:
    """Tasks of this user whose name begins with `prefix`; None if SLURM does not say."""
    # One line a task; a state that we do not know counts as alive.
    answer = _ask(["squeue", "--me", "--array", "--noheader", "--format=%i|%T|%r|%N|%j"])
    if answer is None:
        return None
    found = [Job(*line.split("|", 4)) for line in answer.splitlines() if line.count("|") >= 4]
    return [job for job in found if job.name.startswith(prefix)]


def state_of(job: str) -> str | None:
    """State of one task; None if SLURM does not say or has forgotten it."""
    answer = _ask(["squeue", "--noheader", "--states=all", "--format=%T", f"--jobs={job}"])
    return answer.strip() or None if answer is not None else None


def requeue(job: str) -> bool:
    """Put a task back into the queue; False if SLURM would not."""
    return _ask(["scontrol", "requeue", job]) is not None


def cancel(names: Sequence[str]) -> bool:
    """Cancel tasks by their ids; False if SLURM could not be told of all of them."""
    parts = [names[i : i + JOBS_A_CALL] for i in range(0, len(names), JOBS_A_CALL)]
    return all([_ask(["scancel", *part]) is not None for part in parts])


def refusal(flags: Mapping[str, Any]) -> str | None:
    """Why SLURM would refuse a job with some options of sbatch; None if it would take it."""
    given = [f"--{name}={value}" for name, value in flags.items() if value is not None]
    try:
        tested = subprocess.run(
            ["sbatch", "--test-only", *given, "--wrap=true"],
            capture_output=True, text=True, check=False, timeout=TIMEOUT_SECONDS,
        )
    except (OSError, subprocess.SubprocessError) as error:
        return f"{type(error).__name__}: {error}"
    lines = [line for line in tested.stderr.splitlines() if "error" in line.lower()]
    return (lines or ["no reason given"])[-1] if tested.returncode else None


def max_array_size() -> int:
    """Largest number of tasks in an array; SLURM's default where it does not say."""
    return int(setting("MaxArraySize") or 1001)


def setting(name: str) -> str | None:
    """A line of SLURM's configuration; None if it does not say."""
    answer = _ask(["scontrol", "show", "config"])
    found = re.search(rf"^{name}\s*=\s*(.*)$", answer or "", re.MULTILINE)
    return found.group(1).strip() if found else None


def version() -> str | None:
    """SLURM's version; None where its controller does not answer."""
    if _ask(["sinfo", "--noheader", "--format=%P"]) is None:
        return None
    return (_ask(["sinfo", "--version"]) or "").strip()


def _ask(command: Sequence[str]) -> str | None:
    try:
        done = subprocess.run(
            command, capture_output=True, text=True, check=True, timeout=TIMEOUT_SECONDS
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout
