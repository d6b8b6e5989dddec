"""Commands of SLURM: squeue, scancel, scontrol, sinfo, sbatch. Run folders are the truth.

There are three answers: a job exists, it does not, or SLURM does not answer. Callers change nothing
on the third (None).
"""

from __future__ import annotations

import re
import subprocess
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

TIMEOUT_SECONDS = 60.0
JOBS_A_CALL = 100  # ids in one command, whose arguments must stay short
MOST_LINES = 8  # lines of sbatch's message that are shown: a site's filter may print many
_SPEAKER = re.compile(r"^(\S*(sbatch|sinfo): )?((error|fatal|info): )?")
_GPUS = re.compile(r"gpu(?::[^:,()]+)?:(\d+)")  # of "gpu:h100:4(S:0-1),nvme:1"


@dataclass(frozen=True)
class Job:
    """One task in SLURM's queue, as ``squeue`` lists it."""

    job: str
    state: str
    reason: str
    node: str
    name: str


@dataclass(frozen=True)
class Partition:
    """Nodes of one kind of a partition: `cpus`, `memory_mb` and `gpus` are those of a node."""

    name: str
    is_default: bool
    limit: str  # time limit of a job, in SLURM's format
    nodes: int
    cpus: int
    memory_mb: int
    gpus: int
    features: str


class TokenBucket:
    """Allows `burst` calls at once and then one every `seconds`, as clusters limit calls."""

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
    """Tasks of this user whose name begins with `prefix`; None if SLURM does not answer."""
    # One line for each task; a task in an unknown state counts as alive.
    answer = _ask(["squeue", "--me", "--array", "--noheader", "--format=%i|%T|%r|%N|%j"])
    if answer is None:
        return None
    queue = [Job(*line.split("|", 4)) for line in answer.splitlines() if line.count("|") >= 4]
    return [job for job in queue if job.name.startswith(prefix)]


def state_of(job: str) -> str | None:
    """State of one task; None if SLURM does not answer or has forgotten it."""
    answer = _ask(["squeue", "--noheader", "--states=all", "--format=%T", f"--jobs={job}"])
    return answer.strip() or None if answer is not None else None


def requeue(job: str) -> bool:
    """Put a task back into the queue; False if SLURM refuses."""
    return _ask(["scontrol", "requeue", job]) is not None


def cancel(names: Sequence[str]) -> bool:
    """Cancel tasks by their ids; False if SLURM did not take all of the calls."""
    calls = [names[i : i + JOBS_A_CALL] for i in range(0, len(names), JOBS_A_CALL)]
    answers = [_ask(["scancel", *ids]) for ids in calls]  # every call is made, even if one fails
    return None not in answers


def refusal(options: Mapping[str, Any]) -> str | None:
    """Why SLURM would refuse a job with some options of sbatch; None if it would take it."""
    flags = [
        f"--{name.replace('_', '-')}" + ("" if value is True else f"={value}")
        for name, value in options.items()
        if value is not None
    ]
    try:
        process = subprocess.run(
            ["sbatch", "--test-only", *flags, "--wrap=true"],
            capture_output=True,
            text=True,
            check=False,
            timeout=TIMEOUT_SECONDS,
        )
    except (OSError, subprocess.SubprocessError) as error:
        return f"{type(error).__name__}: {error}"
    return sentences(f"{process.stderr}\n{process.stdout}") if process.returncode else None


def sentences(output: str) -> str:
    """The output of a refused sbatch in one line: each line once, without the command's name."""
    lines = [_SPEAKER.sub("", line.strip()) for line in output.splitlines()]
    reasons = [line for line in dict.fromkeys(lines) if line and not line.startswith("Try ")]
    return "; ".join(reasons[-MOST_LINES:]) or "no reason given"


def partitions() -> list[Partition]:
    """Kinds of nodes of each partition, as ``sinfo`` lists them; none where it does not answer."""
    answer = _ask(["sinfo", "--noheader", "--exact", "--format=%P|%l|%D|%c|%m|%G|%f"]) or ""
    rows = [line.strip().split("|") for line in answer.splitlines()]
    return [_partition(row) for row in rows if _is_row(row)]


def _is_row(row: Sequence[str]) -> bool:
    return len(row) == 7 and all(number.isdecimal() for number in row[2:5])


def _partition(row: Sequence[str]) -> Partition:
    name, limit, nodes, cpus, memory, gres, features = row
    return Partition(
        name=name.rstrip("*"),
        is_default=name.endswith("*"),
        limit=limit,
        nodes=int(nodes),
        cpus=int(cpus),
        memory_mb=int(memory),
        gpus=sum(map(int, _GPUS.findall(gres))),
        features="" if features == "(null)" else features,
    )


def max_array_size() -> int:
    """Largest number of tasks in an array; SLURM's default where it does not answer."""
    return int(setting("MaxArraySize") or 1001)


def setting(name: str) -> str | None:
    """The value of a key of SLURM's configuration; None if it does not answer."""
    answer = _ask(["scontrol", "show", "config"])
    match = re.search(rf"^{name}\s*=\s*(.*)$", answer or "", re.MULTILINE)
    return match.group(1).strip() if match else None


def version() -> str | None:
    """SLURM's version; None where its controller does not answer."""
    if _ask(["sinfo", "--noheader", "--format=%P"]) is None:
        return None
    return (_ask(["sinfo", "--version"]) or "").strip()


def why_silent() -> str:
    """The error of ``sinfo`` where SLURM does not answer."""
    try:
        process = subprocess.run(
            ["sinfo", "--noheader", "--format=%P"],
            capture_output=True,
            text=True,
            check=False,
            timeout=TIMEOUT_SECONDS,
        )
    except (OSError, subprocess.SubprocessError) as error:
        return f"sinfo: {error}"
    return f"sinfo: {sentences(process.stderr)}"


def _ask(command: Sequence[str]) -> str | None:
    try:
        process = subprocess.run(
            command, capture_output=True, text=True, check=True, timeout=TIMEOUT_SECONDS
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return process.stdout
