"""Run a planned study: in this process, on a pool of workers here, or on a SLURM cluster.

A launch may be killed at any moment and repeated: finished runs stay, unfinished ones continue from
their last checkpoint, and jobs that were submitted before are found and counted.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from pathlib import Path

from scalinglab.sweeps.config import DEFAULT_CLASS, LaunchConfig, check_launch
from scalinglab.sweeps.launch.freeze import freeze
from scalinglab.sweeps.launch.pool import Pool
from scalinglab.sweeps.launch.remaining import LaunchLook
from scalinglab.sweeps.launch.slurm import check_cluster, continued, run_on_slurm
from scalinglab.sweeps.launch.stop_flag import StopFlag
from scalinglab.sweeps.launch.worker import Worker
from scalinglab.sweeps.store.launch_record import Launch, new_launch, store_launch
from scalinglab.sweeps.store.select import select
from scalinglab.sweeps.store.stored_plan import StoredPlan, read_plan


def launch(
    outputs: Path,
    study: str,
    config: LaunchConfig,
    on_tick: Callable[[], None] = lambda: None,
) -> bool:
    """Train what a stored plan still lacks.

    Parameters
    ----------
    outputs, study
        Where the plan lies.
    config : LaunchConfig
        The backend.
    on_tick : callable
        Called about every ``config.poll_seconds`` while workers train.

    Returns
    -------
    bool
        False if it was interrupted. Jobs on SLURM then continue.

    Raises
    ------
    ConfigError
        If the launch makes no sense, or the cluster refuses it; nothing has started by then.
    """
    check_backend(config)
    plan = read_plan(outputs, study)
    chosen = plan.runs if config.runs is None else select(plan.runs, config.runs, "launch.runs")
    launch_record = new_launch(outputs, study, config, chosen, freeze(outputs))
    if config.backend == "slurm":
        launch_record = continued(launch_record)
    return carry_out(launch_record, plan, on_tick)


def carry_out(launch_record: Launch, plan: StoredPlan, on_tick: Callable[[], None]) -> bool:
    """Run a launch with the workers of its backend; False if it was interrupted."""
    config = launch_record.config
    store_launch(launch_record)
    stop = StopFlag()
    stop.install()
    try:
        if config.backend == "inline":

            def should_stop() -> bool:
                on_tick()
                return stop()

            Worker(launch_record, DEFAULT_CLASS, should_stop).work()
        elif config.backend == "local":
            Pool(launch_record, plan).run(
                stop, on_tick, lambda: LaunchLook(launch_record, launch_record.plan()).is_over()
            )
        else:
            run_on_slurm(launch_record, stop, on_tick)
    finally:
        stop.uninstall()
        with contextlib.suppress(OSError):  # a full disk has been reported before
            store_launch(launch_record, returned=True)
    return not stop.raised


def check_backend(config: LaunchConfig) -> None:
    """Raise `ConfigError` if a launch makes no sense, or its cluster would refuse it."""
    check_launch(config)
    if config.backend == "slurm":
        check_cluster(config)
