"""A worker claims run after run of a stored plan until none is left.

There is no queue: the run folders are the queue, and claims keep workers apart, so any number of
workers of any number of launchers may work on one study. A worker imports the trainer, and with
it torch and Lightning, once. As a process:

    python -m sweeps.worker <outputs> <study> <time of the launch> <pack> <launcher's pid>
"""

from __future__ import annotations

import importlib
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from scaling.claim import Claim
from scaling.prefixes import candidates
from sweeps.state import WAITING, StoredPlan, StoredRun, read_plan, states
from sweeps.stop import StopFlag

TRAINER = "scaling.trainer:train"
POLL_SECONDS = 0.2
MAX_POLL_SECONDS = 2.0
MAX_ATTEMPTS_A_LAUNCH = 4


def work(
    plan: StoredPlan, launched: float, pack: int, should_stop: Callable[[], bool]
) -> None:
    """Train runs of a plan until all are finished, failed, or it is asked to stop.

    Parameters
    ----------
    plan : StoredPlan
        The study.
    launched : float
        When the launch began: a run that failed since is not tried again before the next launch.
    pack : int
        Largest number of runs to train as one stacked model.
    should_stop : callable
        Asked between chunks and between runs.
    """
    train = _trainer()
    pins = {run.folder.run_id: run.pins for run in plan.runs}
    pause = POLL_SECONDS
    while not should_stop():
        current = states(plan.runs, lambda run: _gave_up(run, launched))
        ready = [r for r in plan.runs if _is_ready(r, current[r.folder.run_id], launched)]
        claims = _claim(ready, plan.execution.lease_seconds, pack)
        if claims:
            train(claims, pins, plan.execution, should_stop)
            pause = POLL_SECONDS
        elif ready or {"running", "blocked"} & set(current.values()):
            time.sleep(pause)  # what others train may free a branch, or be left behind
            pause = min(2 * pause, MAX_POLL_SECONDS)
        else:
            return


def _trainer() -> Callable[..., Any]:
    """The trainer by its name: only here does a sweep meet torch."""
    module, _, name = TRAINER.partition(":")
    return getattr(importlib.import_module(module), name)


def _is_ready(run: StoredRun, state: str, launched: float) -> bool:
    if state == "failed":
        return not _failed_since(run, launched) and not _gave_up(run, launched)
    return state in WAITING


def _failed_since(run: StoredRun, launched: float) -> bool:
    attempt = run.folder.latest_attempt()
    return attempt is not None and attempt.end is not None and attempt.end["ended"] >= launched


def _gave_up(run: StoredRun, launched: float) -> bool:
    """Whether this launch has tried a run too often: something kills its process each time."""
    files = run.folder.attempts.glob("[0-9]*.json")
    return sum(f.stat().st_mtime >= launched for f in files) >= MAX_ATTEMPTS_A_LAUNCH


def _claim(ready: list[StoredRun], lease_seconds: float, pack: int) -> list[Claim]:
    """Claim the first ready run that nobody else takes, and others that fit into its pack."""
    claims: list[Claim] = []
    first = None
    for run in ready:
        if len(claims) == pack:
            break
        kind = _pack_kind(run) if pack > 1 else None
        if first is not None and kind != first:
            continue
        claim = Claim.acquire(run.folder, lease_seconds)
        if claim is not None:
            claims.append(claim)
            first = kind
    return claims


def _pack_kind(run: StoredRun) -> Any:
    """What members of a pack must have in common; they may differ in numbers only."""
    science = run.folder.description()["science"]
    found = candidates(run.folder.outputs, science)
    start = found[0][0] if found else 0
    data = {k: v for k, v in science["data"].items() if k != "seed"}
    return (science["model"], data, science["batch"], science["steps"], science["precision"], start)


def main(arguments: list[str]) -> None:
    """Entry point of a worker process."""
    outputs, study, launched, pack, launcher = arguments
    stop = StopFlag(int(launcher))
    stop.install()
    work(read_plan(Path(outputs), study), float(launched), int(pack), stop)


if __name__ == "__main__":
    main(sys.argv[1:])
