"""Whether a launch tries a run again, by how its attempts ended.

An interruption is no failure: a run that was preempted or met its time limit is continued as often
as needed while it progresses. Attempts without progress are limited, and the same failure in
several runs stops the whole launch before it wastes a night.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum

from scalinglab.scaling.records.atomic import server_time
from scalinglab.scaling.records.attempt import Attempt
from scalinglab.scaling.records.failures import OUT_OF_MEMORY, FailureClass
from scalinglab.scaling.records.run_folder import RunFolder
from scalinglab.scaling.records.state import Outcome
from scalinglab.sweeps.store.stored_plan import StoredRun

# Failed attempts of each class, in one launch, after which a run is left to a person.
TRIES = {
    FailureClass.GPU_OOM: 8,
    FailureClass.HOST_OOM: 2,
    FailureClass.INFRA: 3,
    FailureClass.USER_ERROR: 1,
}
TRIES_WITHOUT_PROGRESS = 3
BACK_OFF_SECONDS = 5.0  # after an infrastructure failure; four times longer each time
BROKEN_RUNS = 3  # runs without progress on a node after which the node is avoided
MOST_EXCLUDED = 4  # nodes
# A program need not report steps: an attempt that was asked to stop after so long has progressed.
PROGRESS_SECONDS = 60.0
BREAKER_RUNS = 3  # runs that failed at the same line, after which no run is begun


class Retry(StrEnum):
    """When a launch tries a run again."""

    NOW = "now"
    LATER = "later"  # after a pause
    NEVER = "never"


@dataclass(frozen=True)
class Verdict:
    """Whether a launch tries a run, and why not."""

    when: Retry
    why: str = ""


def verdict(folder: RunFolder, launched: float) -> Verdict:
    """Whether a launch that began at `launched` should begin a run that is not done nor claimed."""
    attempts = since(folder, launched)
    if not attempts:
        return Verdict(Retry.NOW)
    last = attempts[-1]
    end, kind = last.end, last.failure
    if end is not None and end.reason == Outcome.CANCELLED:
        return Verdict(Retry.NEVER, Outcome.CANCELLED)
    if end is not None and kind is not None:
        if splits(last):
            return Verdict(Retry.NOW)
        count = sum(a.failure == kind and not splits(a) for a in attempts)
        if kind == FailureClass.GPU_OOM and end.micro_batch == 1:
            return Verdict(Retry.NEVER, "the device is out of memory with a micro-batch of one")
        if count >= TRIES[kind]:
            return Verdict(
                Retry.NEVER, f"failed {'once' if count == 1 else f'{count} times'}: {kind}"
            )
        if kind == FailureClass.INFRA:
            pause = BACK_OFF_SECONDS * 4 ** (count - 1)
            if server_time(folder.outputs) < end.ended + pause:
                return Verdict(Retry.LATER, f"waits {pause:.0f} s after a failure of the machinery")
        return Verdict(Retry.NOW)
    if _without_progress(folder, attempts) >= TRIES_WITHOUT_PROGRESS:
        return Verdict(Retry.NEVER, f"{TRIES_WITHOUT_PROGRESS} attempts got no further")
    return Verdict(Retry.NOW)


def splits(attempt: Attempt) -> bool:
    """Whether an attempt failed only because its pack was too large: half of it is tried next."""
    end = attempt.end
    return end is not None and end.cause in OUT_OF_MEMORY and end.members > 1


def most_members(folder: RunFolder) -> float:
    """Members of the largest pack that a run may join: half of one that ran out of memory."""
    attempts = [folder.attempt(n) for n in folder.attempt_numbers()]
    return min((a.end.members // 2 for a in attempts if a.end and splits(a)), default=math.inf)


def tripped(runs: Iterable[StoredRun], launched: float, canary: bool = False) -> str | None:
    """Why a launch must not continue: the same failure in several runs.

    A pack counts as one failure, whatever the number of its members.

    Parameters
    ----------
    runs : iterable of StoredRun
        The runs of the launch.
    launched : float
        When it began.
    canary : bool
        Whether one failure is enough until a run of the launch has progressed.

    Returns
    -------
    str or None
        A sentence, if the breaker is open.
    """
    failed: dict[str, dict[str, str]] = defaultdict(dict)  # signature -> pack -> one of its runs
    errors: dict[str, str] = {}
    runs = list(runs)
    for run in runs:
        if run.folder.done_file.exists():
            continue
        attempts = since(run.folder, launched)
        end = attempts[-1].end if attempts else None
        if end is not None and end.failure == FailureClass.USER_ERROR:
            run_id = run.run_id
            failed[end.signature].setdefault(end.pack or run_id, run_id)
            errors[end.signature] = end.error
    strict = bool(failed) and canary and not got_somewhere(runs, launched)
    allowed = 1 if strict else BREAKER_RUNS
    for mark, packs in failed.items():
        if len(packs) >= allowed:
            names = ", ".join(list(packs.values())[:3])
            alike = "1 run failed" if len(packs) == 1 else f"{len(packs)} runs failed alike"
            return f"{alike} ({names}): {errors[mark]}"
    return None


def got_somewhere(runs: Iterable[StoredRun], launched: float) -> bool:
    """Whether any run has finished, or trained a step, since a launch began.

    That is when a canary has shown that code, data and cluster work.
    """
    for run in runs:
        if run.folder.done() is not None:
            if run.folder.done_file.stat().st_mtime >= launched:
                return True
            continue
        attempts = since(run.folder, launched)
        latest = run.folder.latest_attempt()
        if latest is not None and run.folder.is_alive(latest):
            attempts.append(latest)
        if any(_step(run.folder, a) > _start(run.folder, a) for a in attempts):
            return True
    return False


def bad_nodes(runs: Iterable[StoredRun], launched: float) -> list[str]:
    """Nodes on which attempts at several runs failed without progress, and none progressed.

    Such an attempt vanished without reporting its end, or had an infrastructure failure. A node on
    which any attempt progressed is taken to preempt jobs, not to be broken. At most
    ``MOST_EXCLUDED`` nodes are named.
    """
    broken: dict[str, set[str]] = defaultdict(set)
    well: set[str] = set()
    for run in runs:
        for attempt in since(run.folder, launched):
            node = attempt.owner.place
            vanished = attempt.end is None and not run.folder.is_alive(attempt)
            if _step(run.folder, attempt) > _start(run.folder, attempt):
                well.add(node)
            elif vanished or attempt.failure == FailureClass.INFRA:
                progress = run.folder.progress(attempt.number)
                broken[node].add(progress.pack or run.run_id)  # a pack counts as one failure
    named = [n for n, names in broken.items() if len(names) >= BROKEN_RUNS and n not in well]
    return sorted(named, key=lambda n: (-len(broken[n]), n))[:MOST_EXCLUDED]


def since(folder: RunFolder, launched: float) -> list[Attempt]:
    """Attempts since a launch: begun after it, or begun before it and ended after it."""
    attempts = []
    for number in reversed(folder.attempt_numbers()):
        attempt = folder.attempt(number)
        ended = attempt.end.ended if attempt.end is not None else attempt.owner.started
        if max(ended, attempt.owner.started) < launched:
            break
        attempts.append(attempt)
    return attempts[::-1]


def _step(folder: RunFolder, attempt: Attempt) -> int:
    return folder.progress(attempt.number).reached


def _start(folder: RunFolder, attempt: Attempt) -> int:
    return folder.progress(attempt.number).start


def _without_progress(folder: RunFolder, attempts: list[Attempt]) -> int:
    """Number of attempts since the last one that reported a further step."""
    furthest, count = 0, 0
    for attempt in attempts:
        step = _step(folder, attempt)
        silent = folder.progress(attempt.number).step is None
        end, started = attempt.end, attempt.owner.started
        stopped = end is not None and end.reason == Outcome.INTERRUPTED
        long = end is not None and stopped and end.ended - started > PROGRESS_SECONDS
        count = 0 if step > furthest or (silent and long) else count + 1
        furthest = max(furthest, step)
    return count
