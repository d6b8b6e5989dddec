"""Workers on a SLURM cluster: submitit submits them, we keep count.

A worker is one task of an array; what it trains it claims from the run folders, so an array is
never tied to runs, a task that dies leaves nothing behind, and short runs share a task. What
submitit pickles is the name of a function and strings.
"""

from __future__ import annotations

import math
import secrets
import shlex
import sys
from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import submitit
from submitit.core import utils as _utils

from scaling.atomic import read_json, server_time, write_json
from scaling.config import ConfigError
from sweeps import scheduler, worker
from sweeps.launches import Launch, LaunchConfig, SlurmConfig, read_launches, resources
from sweeps.retry import bad_nodes, verdict
from sweeps.state import WAITING, StoredPlan, StoredRun, states

# A task should have enough to do to be worth its start and its place in the queue.
SECONDS_A_TASK = 20 * 60.0
# A submission that SLURM does not know of after so long was never accepted.
UNSEEN_SECONDS = 60.0
# What sbatch says when it does not know itself whether the job was accepted.
_UNCERTAIN = ("timed out", "contact", "make sense", "Connection", "temporarily")
_calls = scheduler.TokenBucket(burst=10, seconds=2.0)


@dataclass(frozen=True)
class Submission:
    """One array that SLURM was asked for; `job` is None until it has answered."""

    file: Path
    name: str
    kind: str
    tasks: int
    submitted: float
    job: str | None


def name_prefix(launch: Launch) -> str:
    """How the names of a launch's jobs begin: by it they are found again, whatever was lost."""
    return f"scaling-{launch.token}-"


def check_cluster(launch_config: LaunchConfig) -> None:
    """Raise `ConfigError` if SLURM is not there or refuses what a job would ask for."""
    if scheduler.version() is None:
        raise ConfigError(
            "launch.backend = slurm: SLURM does not answer here (sinfo); allowed without it are "
            "local and inline"
        )
    for kind in ("default", *launch_config.classes):
        slurm = resources(launch_config, kind)
        refusal = scheduler.refusal({
            "time": slurm.minutes, "nodes": slurm.nodes, "partition": slurm.partition,
            "account": slurm.account, "qos": slurm.qos, "constraint": slurm.constraint,
            "exclude": slurm.exclude, "cpus-per-task": slurm.cpus,
            "gpus-per-node": slurm.gpus or None, "mem": _memory(slurm),
        })
        if refusal is not None:
            where = "launch.slurm" if kind == "default" else f"launch.classes.{kind}"
            raise ConfigError(f"{where}: SLURM refuses such a job: {refusal}")


def top_up(launch: Launch, plan: StoredPlan) -> int | None:
    """Submit workers for the work that nobody takes; called again and again while it lasts.

    Returns
    -------
    int or None
        Tasks that are queued or running now; None if SLURM does not say: nothing was done then.
    """
    alive = reconcile(launch)
    if alive is None:
        return None
    current = states(plan.runs, lambda r: _gave_up(r, launch))
    for kind in sorted(set(launch.classes.values())):
        runs = [r for r in plan.runs if launch.classes.get(r.folder.run_id) == kind]
        wanted = tasks_wanted(launch, kind, [r for r in runs if current[r.folder.run_id]
                                             in (*WAITING, "failed", "running")
                                             and not _gave_up(r, launch)])
        missing = wanted - sum(s.kind == kind for s, _ in alive)
        if missing > 0 and any(current[r.folder.run_id] in (*WAITING, "failed") for r in runs
                               if not _gave_up(r, launch)):
            _submit(launch, kind, missing, wanted, bad_nodes(runs, launch.launched))
    again = reconcile(launch)
    return None if again is None else len(again)


def continued(launch: Launch) -> Launch:
    """An equal launch whose workers are still queued or running, as of now; else `launch` itself.

    The same command given again adds no second set of workers: it watches those that are there.
    """
    for earlier in reversed(read_launches(launch.outputs, launch.study)):
        equal = (_lasting(earlier), earlier.classes) == (_lasting(launch), launch.classes)
        if equal and earlier.code == launch.code and not earlier.is_cancelled():
            if reconcile(earlier):
                return replace(earlier, launched=launch.launched, config=launch.config)
    return launch


def _lasting(launch: Launch) -> LaunchConfig:
    """The configuration without what only matters while a launcher watches."""
    return replace(launch.config, watch=True, detach=False, poll_seconds=1.0)


def reconcile(launch: Launch) -> list[tuple[Submission, scheduler.Job]] | None:
    """The launch's tasks that SLURM has queued or running; learns the ids of lost submissions.

    Returns
    -------
    list or None
        None if SLURM does not say, or does not say yet of a submission that it was asked for.
    """
    queue = scheduler.jobs(name_prefix(launch))
    if queue is None:
        return None
    found = []
    for submission in submissions(launch):
        own = [job for job in queue if job.name == submission.name]
        if submission.job is None and not _is_settled(launch, submission, own):
            return None
        found += [(submission, job) for job in own if submission.file.exists()]
    return found


def _is_settled(launch: Launch, submission: Submission, own: list[scheduler.Job]) -> bool:
    """Whether it is known what became of a submission whose answer was lost; mends it if so."""
    lost = server_time(launch.outputs) - submission.submitted > UNSEEN_SECONDS
    if own:
        job = own[0].job.partition("_")[0]
        # submitit gives a job its pickle after the answer: without it the tasks cannot start.
        if list((launch.folder / "slurm").glob(f"{job}*_submitted.pkl")):
            _store(submission, job)
            return True
        if not lost or not scheduler.cancel([one.job for one in own]):
            return False
    if lost:
        submission.file.unlink()
    return lost


def submissions(launch: Launch) -> list[Submission]:
    """What SLURM was asked for, in order."""
    files = sorted(launch.folder.glob("submit-*.json"))
    return [Submission(file, **read_json(file)) for file in files]


def tasks_wanted(launch: Launch, kind: str, runs: Iterable[StoredRun]) -> int:
    """How many tasks the runs of a class are worth."""
    runs = list(runs)
    if not runs:
        return 0
    limit = 0.8 * 60 * resources(launch.config, kind).minutes
    seconds = [run.seconds or limit for run in runs]
    share = min(limit, max(SECONDS_A_TASK, *seconds))
    wanted = min(math.ceil(sum(seconds) / share), math.ceil(len(runs) / launch.config.pack))
    # A person who names a number of workers wants them at once, as far as there is work.
    if launch.config.workers is not None:
        wanted = min(launch.config.workers, math.ceil(len(runs) / launch.config.pack))
    return wanted


def cancel(launch: Launch) -> bool:
    """Cancel all its jobs; False if SLURM could not be told."""
    queue = scheduler.jobs(name_prefix(launch))
    return queue is not None and scheduler.cancel([job.job for job in queue])


def _gave_up(run: StoredRun, launch: Launch) -> bool:
    return (run.folder.run_id not in launch.classes
            or verdict(run.folder, launch.launched).when == "never")


def _submit(launch: Launch, kind: str, tasks: int, at_once: int, exclude: list[str]) -> None:
    """Ask for `tasks` workers, in as few arrays as the cluster allows."""
    largest = scheduler.max_array_size()
    sizes = [min(largest, tasks - start) for start in range(0, tasks, largest)]
    for size in sizes:
        number = 1 + max((int(s.file.stem[-3:]) for s in submissions(launch)), default=-1)
        name = f"{name_prefix(launch)}{secrets.token_hex(3)}"  # never that of a lost one
        submission = Submission(
            launch.folder / f"submit-{number:03d}.json", name, kind, size,
            server_time(launch.outputs), None,
        )
        _store(submission, None)  # before sbatch: whatever happens, the name is known
        try:
            job = _sbatch(launch, submission, max(1, at_once * size // tasks), exclude)
        except (_utils.FailedJobError, _utils.FailedSubmissionError) as error:
            # It may have been accepted all the same, now or in a moment: only the queue knows.
            if not any(word in str(error) for word in _UNCERTAIN):
                submission.file.unlink()
                raise ConfigError(f"SLURM refused the job: {_last_line(error)}") from error
            return
        _store(submission, job)


def _sbatch(launch: Launch, submission: Submission, at_once: int, exclude: list[str]) -> str:
    slurm = resources(launch.config, submission.kind)
    executor = submitit.SlurmExecutor(
        folder=launch.folder / "slurm", python=f"exec {slurm.python or shlex.quote(sys.executable)}"
    )
    options = _options(slurm)
    options["exclude"] = ",".join(filter(None, (slurm.exclude, *exclude))) or None
    log = launch.folder / "slurm" / "${SLURM_ARRAY_JOB_ID:-$SLURM_JOB_ID}"
    executor.update_parameters(
        job_name=submission.name, array_parallelism=at_once, **options,
        setup=[
            "trap '' USR2",  # a warning before the worker listens must not kill it
            f"export PYTHONPATH={shlex.quote(launch.code)}${{PYTHONPATH:+:$PYTHONPATH}}",
            f'export SCALING_LOG="{log}${{SLURM_ARRAY_TASK_ID:+_$SLURM_ARRAY_TASK_ID}}_0_log.out"',
            "export OMP_NUM_THREADS=${OMP_NUM_THREADS:-1}",
            *slurm.setup,
        ],
    )
    # No run is begun when it could not be saved before the limit.
    seconds = max(1.0, 60.0 * slurm.minutes - 2 * slurm.signal_seconds)
    arguments = [str(launch.folder), submission.kind, str(seconds)]
    _calls.take()
    with executor.batch():
        asked = [executor.submit(worker.main, arguments) for _ in range(submission.tasks)]
    return asked[0].job_id.partition("_")[0]


def _options(slurm: SlurmConfig) -> dict[str, Any]:
    """A class of jobs in the words of submitit."""
    # Without srun: the warning must reach our process and no other, also where that starts ranks
    # with srun itself. The process replaces the batch shell and is sent what the shell is sent.
    return {
        "time": slurm.minutes, "signal_delay_s": slurm.signal_seconds, "nodes": slurm.nodes,
        "ntasks_per_node": 1, "partition": slurm.partition, "account": slurm.account,
        "qos": slurm.qos, "constraint": slurm.constraint, "exclude": slurm.exclude,
        "cpus_per_task": slurm.cpus, "gpus_per_node": slurm.gpus or None,
        "mem": _memory(slurm),
        "wckey": None, "use_srun": False, "stderr_to_stdout": True,
        "additional_parameters": {
            "signal": f"B:USR2@{slurm.signal_seconds}", "requeue": True, **slurm.extra,
        },
    }


def _memory(slurm: SlurmConfig) -> str | None:
    return None if slurm.memory_gb is None else f"{math.ceil(slurm.memory_gb * 1024)}M"


def _store(submission: Submission, job: str | None) -> None:
    write_json(submission.file, {
        "name": submission.name, "kind": submission.kind, "tasks": submission.tasks,
        "submitted": submission.submitted, "job": job,
    })


def _last_line(error: BaseException) -> str:
    lines = [line for line in str(error).splitlines() if line.strip()]
    return lines[-1] if lines else type(error).__name__
