"""Shapes timed where they will be trained: in a short job on the cluster, which answers by a file.

<outputs>/measure/<token>/requests.json, answers.json, slurm/
"""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from scalinglab.scaling.config import ExecutionConfig
from scalinglab.scaling.errors import ConfigError
from scalinglab.scaling.records.atomic import read_json, write_json
from scalinglab.scaling.records.damage import check_shape
from scalinglab.sweeps.config import LaunchConfig
from scalinglab.sweeps.launch import scheduler
from scalinglab.sweeps.launch.freeze import freeze
from scalinglab.sweeps.launch.sbatch import submit_one
from scalinglab.sweeps.plan.local_timing import CannotMeasure, measure_here
from scalinglab.sweeps.plan.timing import Target, here, nowhere

MINUTES = 10  # limit of the job
POLL_SECONDS = 0.5
QUEUE_SECONDS = 5.0  # between two looks into the queue
NAME = "scaling-measure"
OTHERWISE = "launch.measure=off goes without, launch.measure=here takes those of this machine"


def timing_target(
    config: LaunchConfig,
    execution: ExecutionConfig,
    outputs: Path,
    tell: Callable[[str], None] = lambda text: None,
) -> Target:
    """Where the step times of a plan are measured.

    Parameters
    ----------
    tell : callable
        Called with a sentence before something that takes long.
    """
    if config.measure == "off":
        return nowhere()
    # A login node has no GPU: planning never needs the device of the runs.
    away = config.backend == "slurm" and execution.device != "cpu"
    if config.measure == "here" or (config.measure == "auto" and not away):
        return here(trained_elsewhere=config.backend == "slurm")
    return _cluster_target(config, outputs, tell)


def _cluster_target(config: LaunchConfig, outputs: Path, tell: Callable[[str], None]) -> Target:
    """The nodes of a cluster as a place where shapes can be timed."""
    slurm = config.slurm
    parts = [slurm.partition, slurm.constraint, slurm.gpus and f"{slurm.gpus} GPUs", slurm.python]
    where = " ".join(["slurm", *(str(part) for part in parts if part)])
    return Target(
        where,
        lambda requests: _measure(config, outputs, requests, tell),
        required=config.measure == "target",
    )


def _measure(
    config: LaunchConfig,
    outputs: Path,
    requests: list[dict[str, Any]],
    tell: Callable[[str], None],
) -> list[dict[str, Any]]:
    """Time some shapes in a job, and wait for it.

    Raises
    ------
    CannotMeasure
        If it is refused, fails, or does not end in time.
    """
    if scheduler.version() is None:
        raise CannotMeasure(f"SLURM does not answer here ({scheduler.why_silent()}); {OTHERWISE}")
    folder = outputs / "measure" / secrets.token_hex(4)
    questions, answers = folder / "requests.json", folder / "answers.json"
    write_json(questions, requests)
    try:
        job = submit_one(
            folder / "slurm",
            config.slurm,
            freeze(outputs),
            NAME,
            MINUTES,
            measure_to,
            str(questions),
            str(answers),
        )
    except ConfigError as error:
        raise CannotMeasure(f"{error}; it was to measure the step times; {OTHERWISE}") from error
    tell(
        f"job {job} measures the step times on the cluster; it may take "
        f"{config.measure_seconds:g} s, the queue included (launch.measure_seconds; "
        "launch.measure=off goes without)"
    )
    try:
        _wait(answers, job, config.measure_seconds)
    except BaseException:
        scheduler.cancel([job])
        raise
    answer = read_json(answers, {})
    if "error" in answer:
        raise CannotMeasure(f"job {job} on the cluster: {answer['error']}; {OTHERWISE}")
    check_shape(answers, answer, {"answers": list})
    return answer["answers"]


def _wait(answers: Path, job: str, seconds: float) -> None:
    """Wait for a job's answer; raises `CannotMeasure` if the job is gone, or takes too long."""
    began = time.monotonic()
    look, gone = began + QUEUE_SECONDS, 0
    while not answers.exists():
        # Only the second time: the file server may show an answer later than the queue its end.
        if gone == 2:
            raise CannotMeasure(
                f"job {job} ended without the step times; its log is "
                f"{answers.parent}/slurm/{job}_0_log.out; {OTHERWISE}"
            )
        if time.monotonic() > began + seconds:
            raise CannotMeasure(
                f"job {job}, which was to measure the step times, did not end within "
                f"launch.measure_seconds = {seconds:g}; wait longer, or {OTHERWISE}"
            )
        time.sleep(POLL_SECONDS)
        if time.monotonic() > look:
            queue = scheduler.jobs(NAME)
            is_queued = queue is None or job in [
                queued.job for queued in queue
            ]  # no answer is not "gone"
            gone = 0 if is_queued else gone + 1
            look = time.monotonic() + QUEUE_SECONDS


def measure_to(requests: str, answers: str) -> None:
    """Entry point of the job: from a file of requests to a file with answers, or an error."""
    try:
        content: dict[str, Any] = {"answers": measure_here(read_json(Path(requests)))}
    except CannotMeasure as error:
        content = {"error": str(error)}
    write_json(Path(answers), content)
