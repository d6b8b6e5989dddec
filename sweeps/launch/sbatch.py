"""Jobs are submitted to SLURM with submitit: the one file that needs it.

submitit pickles only the name of a function and strings, so that the frozen code can read them.
"""

from __future__ import annotations

import shlex
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

from scalinglab.scaling.errors import ConfigError
from scalinglab.scaling.extras import needs_extra
from scalinglab.scaling.training.child import SAFE, shell_lines
from scalinglab.sweeps.config import DEFAULT_CLASS, SlurmConfig, group_of, resources
from scalinglab.sweeps.launch import refusals, scheduler, worker
from scalinglab.sweeps.launch.submissions import Submission
from scalinglab.sweeps.store.launch_record import Launch

if TYPE_CHECKING:
    import submitit

# How submitit calls the log of a task, in the shell of the job.
_LOG = (
    '"${SLURM_ARRAY_JOB_ID:-$SLURM_JOB_ID}${SLURM_ARRAY_TASK_ID:+_$SLURM_ARRAY_TASK_ID}_0_log.out"'
)
_calls = scheduler.TokenBucket(burst=10, seconds=2.0)


def submit_workers(launch: Launch, submission: Submission, at_once: int, exclude: list[str]) -> str:
    """Ask for an array of workers; the id of its job."""
    slurm = resources(launch.config, submission.kind)
    executor = _executor(launch.folder / "slurm", slurm)
    options = _options(slurm)
    options["exclude"] = ",".join(filter(None, (slurm.exclude, *exclude))) or None
    executor.update_parameters(
        job_name=submission.name,
        array_parallelism=at_once,
        **options,
        setup=[
            "trap '' USR2",  # a warning before the worker handles signals must not kill it
            f"export SCALING_LOG={shlex.quote(str(launch.folder / 'slurm'))}/{_LOG}",
            *_setup(Path(launch.code), slurm),
        ],
    )
    # No run is begun that could not be saved before the limit.
    seconds = max(1.0, 60.0 * slurm.minutes - 2 * slurm.signal_seconds)
    arguments = [str(launch.folder), submission.kind, str(seconds)]
    _calls.take()
    with executor.batch():
        jobs = [executor.submit(worker.main, arguments) for _ in range(submission.tasks)]
    return jobs[0].job_id.partition("_")[0]


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
    except submit_errors() as error:
        raise refused_job(error, slurm, group_of(DEFAULT_CLASS)) from error


def load_submitit() -> ModuleType:
    """Import submitit, which is optional: only a launch on SLURM needs it."""
    with needs_extra("a launch on SLURM"):
        import submitit.core.utils

    return submitit


def submit_errors() -> tuple[type[Exception], ...]:
    """The exceptions by which submitit reports that sbatch failed."""
    utils = load_submitit().core.utils
    return utils.FailedJobError, utils.FailedSubmissionError


def _executor(folder: Path, slurm: SlurmConfig) -> submitit.SlurmExecutor:
    if "%" in str(folder):
        raise ConfigError(
            f"outputs: {str(folder)!r} has a '%', which sbatch replaces in the names"
            " of logs; choose another folder"
        )
    # The process replaces the batch shell, so signals to the shell reach it.
    python = f"exec {slurm.python or shlex.quote(sys.executable)} {SAFE}"
    return load_submitit().SlurmExecutor(folder=folder, python=python)


def _setup(code: Path, slurm: SlurmConfig) -> list[str]:
    """Lines of shell before Python."""
    return [*shell_lines(code, slurm.setup), "export OMP_NUM_THREADS=${OMP_NUM_THREADS:-1}"]


def _options(slurm: SlurmConfig) -> dict[str, Any]:
    """A class of jobs in the words of submitit."""
    # Without srun: the warning must reach our process alone, also if that starts ranks with srun.
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


def refused_job(error: BaseException, slurm: SlurmConfig, where: str) -> ConfigError:
    """The error for a refused job, from both streams of sbatch; submitit passes on only one."""
    output = f"{error}\n{getattr(error.__cause__, 'output', None) or ''}"
    return ConfigError(
        f"SLURM refused the job: {scheduler.sentences(output)}{refusals.about(slurm, where)}"
    )
