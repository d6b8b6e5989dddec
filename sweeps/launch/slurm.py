"""Workers on a SLURM cluster: how many are needed, and replacing those that are lost.

A worker is one task of an array. It claims runs from the run folders, so an array is not tied to
runs, a task that dies leaves nothing to clean up, and short runs share a task.
"""

from __future__ import annotations

import itertools
import math
import secrets
import time
from collections.abc import Callable, Iterable
from dataclasses import replace

from scalinglab.scaling.errors import ConfigError
from scalinglab.scaling.records.atomic import server_time
from scalinglab.scaling.records.state import TO_BEGIN, State
from scalinglab.sweeps.config import (
    DEFAULT_CLASS,
    LaunchBudget,
    LaunchConfig,
    group_of,
    resources,
)
from scalinglab.sweeps.launch import refusals, scheduler
from scalinglab.sweeps.launch.remaining import LaunchLook
from scalinglab.sweeps.launch.retry import bad_nodes, got_somewhere
from scalinglab.sweeps.launch.sbatch import (
    load_submitit,
    refused_job,
    submit_errors,
    submit_workers,
)
from scalinglab.sweeps.launch.submissions import (
    Submission,
    name_prefix,
    read_submissions,
    reconcile,
    store_submission,
)
from scalinglab.sweeps.store.launch_record import Launch, launches_in
from scalinglab.sweeps.store.packs import form_packs, pack_size
from scalinglab.sweeps.store.state import LOOKS_APART
from scalinglab.sweeps.store.stored_plan import StoredRun

# Work of one task: much more than its start-up and its wait in the queue.
SECONDS_A_TASK = 20 * 60.0
# Words in the messages of sbatch that leave open whether the job was accepted.
_UNCERTAIN = ("timed out", "contact", "make sense", "Connection", "temporarily")
_PLANNED_SHARE = 0.8  # of a job's time limit: predicted times may be too short
POLLS_A_SUBMISSION = 10  # polls of the folders between two questions to SLURM


def check_cluster(launch_config: LaunchConfig) -> None:
    """Raise `ConfigError` if SLURM does not answer, or would refuse a job of this launch."""
    if scheduler.version() is None:
        raise ConfigError(
            f"launch.backend = slurm: SLURM does not answer here ({scheduler.why_silent()}); "
            "allowed without it are local and inline"
        )
    load_submitit()  # a launch without it is refused before anything is stored
    for kind in (DEFAULT_CLASS, *launch_config.classes):
        reason = refusals.refusal(resources(launch_config, kind), group_of(kind))
        if reason is not None:
            raise ConfigError(f"{group_of(kind)}: SLURM refuses such a job: {reason}")


def top_up(look: LaunchLook) -> int | None:
    """Submit the workers that are missing; called repeatedly while a launcher watches.

    Parameters
    ----------
    look : LaunchLook
        The launch as it is now.

    Returns
    -------
    int or None
        Number of tasks queued or running now; None if SLURM does not answer: nothing was submitted.
    """
    launch = look.launch
    alive = reconcile(launch)
    if alive is None:
        return None
    for kind in sorted(set(launch.classes.values())):
        runs = [r for r in look.runs if launch.classes[r.run_id] == kind]
        unfinished = [
            r
            for r in runs
            if look.state(r) in (*TO_BEGIN, State.FAILED, State.RUNNING) and not look.gave_up(r)
        ]
        tasks = tasks_needed(launch, kind, unfinished)
        if launch.config.canary and not got_somewhere(runs, launch.launched):
            tasks = min(tasks, launch.config.canary)  # more would wait on idle devices
        missing = tasks - sum(s.kind == kind for s, _ in alive)
        if missing > 0 and any(look.state(r) != State.RUNNING for r in unfinished):
            _submit(launch, kind, missing, tasks, bad_nodes(runs, launch.launched))
    again = reconcile(launch)
    return None if again is None else len(again)


def continued(launch: Launch) -> Launch:
    """An equal earlier launch whose workers are queued or running; `launch` itself if none is.

    So a repeated command adds no second set of workers: it watches those of the first.
    """
    for earlier in reversed(launches_in(launch.folder.parent)):
        equal = (_lasting(earlier), earlier.classes, earlier.code) == (
            _lasting(launch),
            launch.classes,
            launch.code,
        )
        # No answer of SLURM (None) is not "no jobs".
        if equal and not earlier.is_cancelled() and reconcile(earlier) != []:
            return replace(earlier, launched=launch.launched, config=launch.config)
    return launch


def _lasting(launch: Launch) -> LaunchConfig:
    """The configuration without the keys that matter only while planning or watching."""
    return replace(
        launch.config,
        watch=True,
        detach=False,
        poll_seconds=1.0,
        measure="auto",
        measure_seconds=0.0,
        budget=LaunchBudget(),
    )


def tasks_needed(launch: Launch, kind: str, runs: Iterable[StoredRun]) -> int:
    """Number of tasks that the runs of a class need; a pack needs one."""
    runs = list(runs)
    if not runs:
        return 0
    limit = _PLANNED_SHARE * 60 * resources(launch.config, kind).minutes
    packs = form_packs(runs, lambda r: r.kind, lambda r: pack_size(launch.config, r))
    seconds = [_pack_seconds(pack, limit) for pack in packs]
    share = min(limit, max(SECONDS_A_TASK, *seconds))
    # A number of workers in the configuration is submitted at once, as far as there is work.
    if launch.config.workers is not None:
        return min(launch.config.workers, len(packs))
    return min(max(1, math.ceil(sum(seconds) / share)), len(packs))


def _pack_seconds(pack: list[StoredRun], unknown: float) -> float:
    """Seconds of a pack: the sum of its members'; `unknown` if one of them was not predicted."""
    seconds = [run.seconds for run in pack if run.seconds is not None]
    return sum(seconds) if len(seconds) == len(pack) else unknown


def _submit(launch: Launch, kind: str, tasks: int, at_once: int, exclude: list[str]) -> None:
    """Ask for `tasks` workers, in as few arrays as the cluster allows."""
    largest = scheduler.max_array_size()
    sizes = [min(largest, tasks - start) for start in range(0, tasks, largest)]
    for size in sizes:
        token = secrets.token_hex(3)  # differs from lost submissions and from other launchers'
        submission = Submission(
            launch.folder / f"submit-{token}.json",
            f"{name_prefix(launch)}{token}",
            kind,
            size,
            server_time(launch.outputs),
            None,
        )
        store_submission(
            submission, None
        )  # before sbatch, so that its job is found by name after a crash
        try:
            job = submit_workers(launch, submission, max(1, at_once * size // tasks), exclude)
        except submit_errors() as error:
            # The job may have been accepted, or may be soon: only the queue knows.
            if any(word in str(error) for word in _UNCERTAIN):
                return
            submission.file.unlink()
            if any(s.job is not None for s in read_submissions(launch)):
                return  # probably a limit on submitted jobs: the next look tries again
            raise refused_job(error, resources(launch.config, kind), group_of(kind)) from error
        store_submission(submission, job)


def run_on_slurm(launch: Launch, stop: Callable[[], bool], on_tick: Callable[[], None]) -> None:
    """Submit workers and, if the launch watches, replace those that are lost."""
    next_look = 0.0  # by time.monotonic: a look at all runs of a large study takes seconds
    next_question = 0  # to SLURM, in polls
    for poll in itertools.count():
        if launch.is_cancelled():
            return
        if time.monotonic() >= next_look:
            began = time.monotonic()
            look = LaunchLook(launch, launch.plan())
            if look.is_over():
                return
            next_look = time.monotonic() + LOOKS_APART * (time.monotonic() - began)
            if poll >= next_question:
                silent = top_up(look) is None
                if silent and poll == 0 and not read_submissions(launch):
                    raise ConfigError("SLURM does not answer (squeue): nothing was submitted")
                next_question = poll + POLLS_A_SUBMISSION
        if not launch.config.watch:
            return
        time.sleep(launch.config.poll_seconds)
        on_tick()
        if stop():
            return
