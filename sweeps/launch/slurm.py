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
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from scalinglab.scaling.config import ConfigError
from scalinglab.scaling.records.atomic import read_json, server_time, write_json
from scalinglab.scaling.records.damage import DamagedFile, Shape, tell
from scalinglab.scaling.records.state import WAITING, State
from scalinglab.scaling.training.child import SAFE, shell_lines
from scalinglab.sweeps.launch import refusals, scheduler, worker
from scalinglab.sweeps.launch.retry import bad_nodes, got_somewhere, verdict
from scalinglab.sweeps.store.launches import (
    DEFAULT_CLASS,
    Budget,
    Launch,
    LaunchConfig,
    SlurmConfig,
    group_of,
    pack_size,
    read_launches,
    resources,
)
from scalinglab.sweeps.store.packs import form
from scalinglab.sweeps.store.state import StoredPlan, StoredRun, states

if TYPE_CHECKING:
    import submitit

# A task should have enough to do to be worth its start and its place in the queue.
SECONDS_A_TASK = 20 * 60.0
# A submission that SLURM does not know of after so long was never accepted.
UNSEEN_SECONDS = 60.0
# What sbatch says when it does not know itself whether the job was accepted.
_UNCERTAIN = ("timed out", "contact", "make sense", "Connection", "temporarily")
# How submitit calls the log of a task, in the shell of the job.
_LOG = (
    '"${SLURM_ARRAY_JOB_ID:-$SLURM_JOB_ID}${SLURM_ARRAY_TASK_ID:+_$SLURM_ARRAY_TASK_ID}_0_log.out"'
)
_calls = scheduler.TokenBucket(burst=10, seconds=2.0)


_SUBMISSION: Shape = {
    "name": str,
    "kind": str,
    "tasks": int,
    "submitted": (int, float),
    "job": (str, type(None)),
}


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
            f"launch.backend = slurm: SLURM does not answer here ({scheduler.why_silent()}); "
            "allowed without it are local and inline"
        )
    _failures()  # submitit is loaded: a launch without it is refused before anything is stored
    for kind in (DEFAULT_CLASS, *launch_config.classes):
        why = refusals.refusal(resources(launch_config, kind), group_of(kind))
        if why is not None:
            raise ConfigError(f"{group_of(kind)}: SLURM refuses such a job: {why}")


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
        wanted = tasks_wanted(
            launch,
            kind,
            [
                r
                for r in runs
                if current[r.folder.run_id] in (*WAITING, State.FAILED, State.RUNNING)
                and not _gave_up(r, launch)
            ],
        )
        if launch.config.canary and not got_somewhere(runs, launch.launched):
            wanted = min(wanted, launch.config.canary)  # the others would wait, on idle devices
        missing = wanted - sum(s.kind == kind for s, _ in alive)
        if missing > 0 and any(
            current[r.folder.run_id] in (*WAITING, State.FAILED)
            for r in runs
            if not _gave_up(r, launch)
        ):
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
            if reconcile(earlier) != []:  # not known is not none
                return replace(earlier, launched=launch.launched, config=launch.config)
    return launch


def _lasting(launch: Launch) -> LaunchConfig:
    """The configuration without what only matters while a launcher watches, or is read again."""
    return replace(
        launch.config,
        watch=True,
        detach=False,
        poll_seconds=1.0,
        measure="auto",
        measure_seconds=0.0,
        budget=Budget(),
    )


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
    found = []
    for file in launch.folder.glob("submit-*.json"):
        try:
            found.append(Submission(file, **read_json(file, _SUBMISSION)))
        except DamagedFile as error:
            tell(error, "its jobs are not counted")
    return sorted(found, key=lambda submission: submission.submitted)


def tasks_wanted(launch: Launch, kind: str, runs: Iterable[StoredRun]) -> int:
    """How many tasks the runs of a class are worth; a pack is trained in one."""
    runs = list(runs)
    if not runs:
        return 0
    limit = 0.8 * 60 * resources(launch.config, kind).minutes
    packs = form(runs, lambda r: r.kind, lambda r: pack_size(launch.config, r))
    seconds = [_pack_seconds(pack, limit) for pack in packs]
    share = min(limit, max(SECONDS_A_TASK, *seconds))
    # A person who names a number of workers wants them at once, as far as there is work.
    if launch.config.workers is not None:
        return min(launch.config.workers, len(packs))
    return min(max(1, math.ceil(sum(seconds) / share)), len(packs))


def _pack_seconds(pack: list[StoredRun], unknown: float) -> float:
    """Of a pack its members' shares together; `unknown` if nobody has predicted one of them."""
    seconds = [run.seconds for run in pack if run.seconds is not None]
    return sum(seconds) if len(seconds) == len(pack) else unknown


def cancel(launch: Launch) -> bool:
    """Cancel all its jobs; False if SLURM could not be told."""
    queue = scheduler.jobs(name_prefix(launch))
    return queue is not None and scheduler.cancel([job.job for job in queue])


def _gave_up(run: StoredRun, launch: Launch) -> bool:
    return (
        run.folder.run_id not in launch.classes
        or verdict(run.folder, launch.launched).when == "never"
    )


def _submit(launch: Launch, kind: str, tasks: int, at_once: int, exclude: list[str]) -> None:
    """Ask for `tasks` workers, in as few arrays as the cluster allows."""
    largest = scheduler.max_array_size()
    sizes = [min(largest, tasks - start) for start in range(0, tasks, largest)]
    for size in sizes:
        token = secrets.token_hex(3)  # never that of a lost one, nor of another watcher
        submission = Submission(
            launch.folder / f"submit-{token}.json",
            f"{name_prefix(launch)}{token}",
            kind,
            size,
            server_time(launch.outputs),
            None,
        )
        _store(submission, None)  # before sbatch: whatever happens, the name is known
        try:
            job = _sbatch(launch, submission, max(1, at_once * size // tasks), exclude)
        except _failures() as error:
            # It may have been accepted all the same, now or in a moment: only the queue knows.
            if any(word in str(error) for word in _UNCERTAIN):
                return
            submission.file.unlink()
            if any(s.job is not None for s in submissions(launch)):
                return  # a limit on what is submitted: the next look asks again
            raise _refused(error, resources(launch.config, kind), group_of(kind)) from error
        _store(submission, job)


def _sbatch(launch: Launch, submission: Submission, at_once: int, exclude: list[str]) -> str:
    slurm = resources(launch.config, submission.kind)
    executor = _executor(launch.folder / "slurm", slurm)
    options = _options(slurm)
    options["exclude"] = ",".join(filter(None, (slurm.exclude, *exclude))) or None
    executor.update_parameters(
        job_name=submission.name,
        array_parallelism=at_once,
        **options,
        setup=[
            "trap '' USR2",  # a warning before the worker listens must not kill it
            f"export SCALING_LOG={shlex.quote(str(launch.folder / 'slurm'))}/{_LOG}",
            *_setup(Path(launch.code), slurm),
        ],
    )
    # No run is begun when it could not be saved before the limit.
    seconds = max(1.0, 60.0 * slurm.minutes - 2 * slurm.signal_seconds)
    arguments = [str(launch.folder), submission.kind, str(seconds)]
    _calls.take()
    with executor.batch():
        asked = [executor.submit(worker.main, arguments) for _ in range(submission.tasks)]
    return asked[0].job_id.partition("_")[0]


def submit_one(
    folder: Path,
    slurm: SlurmConfig,
    code: Path,
    name: str,
    minutes: int,
    function: Callable[..., None],
    *arguments: str,
) -> str:
    """Ask for one job that calls a function of ours; its id.

    Raises
    ------
    ConfigError
        If SLURM refuses it.
    """
    executor = _executor(folder, slurm)
    executor.update_parameters(
        job_name=name, **_options(slurm) | {"time": minutes}, setup=_setup(code, slurm)
    )
    _calls.take()
    try:
        return executor.submit(function, *arguments).job_id
    except _failures() as error:
        raise _refused(error, slurm, group_of(DEFAULT_CLASS)) from error


def _failures() -> tuple[type[Exception], ...]:
    """How submitit says that sbatch failed."""
    from submitit.core.utils import FailedJobError, FailedSubmissionError

    return FailedJobError, FailedSubmissionError


def _executor(folder: Path, slurm: SlurmConfig) -> submitit.SlurmExecutor:
    import submitit  # here, for status and cancel do without it

    if "%" in str(folder):
        raise ConfigError(
            f"outputs: {str(folder)!r} has a '%', which sbatch replaces in the names"
            " of logs; choose another folder"
        )
    # The process replaces the batch shell and is sent what the shell is sent.
    python = f"exec {slurm.python or shlex.quote(sys.executable)} {SAFE}"
    return submitit.SlurmExecutor(folder=folder, python=python)


def _setup(code: Path, slurm: SlurmConfig) -> list[str]:
    """Lines of shell before Python."""
    return [*shell_lines(code, slurm.setup), "export OMP_NUM_THREADS=${OMP_NUM_THREADS:-1}"]


def _options(slurm: SlurmConfig) -> dict[str, Any]:
    """A class of jobs in the words of submitit."""
    # Without srun: the warning must reach our process and no other, also where that starts ranks
    # with srun itself.
    return {
        "time": slurm.minutes,
        "signal_delay_s": slurm.signal_seconds,
        "nodes": slurm.nodes,
        "ntasks_per_node": 1,
        "partition": slurm.partition,
        "account": slurm.account,
        "qos": slurm.qos,
        "constraint": slurm.constraint,
        "exclude": slurm.exclude,
        "cpus_per_task": slurm.cpus,
        "gpus_per_node": slurm.gpus or None,
        "mem": refusals.memory(slurm),
        "wckey": None,
        "use_srun": False,
        "stderr_to_stdout": True,
        "additional_parameters": {
            "signal": f"B:USR2@{slurm.signal_seconds}",
            "requeue": True,
            **slurm.extra,
        },
    }


def _store(submission: Submission, job: str | None) -> None:
    write_json(
        submission.file,
        {
            "name": submission.name,
            "kind": submission.kind,
            "tasks": submission.tasks,
            "submitted": submission.submitted,
            "job": job,
        },
    )


def _refused(error: BaseException, slurm: SlurmConfig, where: str) -> ConfigError:
    """What sbatch said of a job, on either of its streams; submitit passes on one."""
    said = f"{error}\n{getattr(error.__cause__, 'output', None) or ''}"
    return ConfigError(
        f"SLURM refused the job: {scheduler.sentences(said)}{refusals.about(slurm, where)}"
    )
