"""Run a planned study: in this process, on a pool of workers here, or on a SLURM cluster.

A launch may be killed at any moment and given again: what is done stays done, what was begun goes
on from its last checkpoint, and what was submitted before is found and counted.
"""

from __future__ import annotations

import contextlib
import subprocess
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from scalinglab.scaling.config import ConfigError, ExecutionConfig
from scalinglab.scaling.records.state import WAITING, Outcome, State
from scalinglab.scaling.training.child import child_environment, python_command
from scalinglab.sweeps.launch.freeze import freeze
from scalinglab.sweeps.launch.pool import Pool
from scalinglab.sweeps.launch.retry import Retry, tripped, verdict
from scalinglab.sweeps.launch.stop import StopFlag
from scalinglab.sweeps.plan.cost import Target, here, nowhere
from scalinglab.sweeps.plan.plan import study_folder
from scalinglab.sweeps.store.launches import (
    Launch,
    LaunchConfig,
    check_launch,
    launched_by,
    new_launch,
    read_launches,
    store_launch,
)
from scalinglab.sweeps.store.select import select
from scalinglab.sweeps.store.spent import overspent
from scalinglab.sweeps.store.state import StoredPlan, StoredRun, read_plan, states

DETACH_SECONDS = 120.0  # until a launcher that has not begun, nor died, is left alone
DETACH_LINES = 15
CHECKS_A_SUBMISSION = 10  # a launcher looks at the folders this much more often than it asks SLURM


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
        Called while workers work, about as often as ``config.poll_seconds`` says.

    Returns
    -------
    bool
        False if it was interrupted. Jobs on SLURM then go on.

    Raises
    ------
    ConfigError
        If the launch makes no sense, or the cluster refuses it; nothing has started by then.
    """
    check_backend(config)
    plan = read_plan(outputs, study)
    chosen = plan.runs if config.runs is None else select(plan.runs, config.runs)
    begun = new_launch(outputs, study, config, chosen, freeze(outputs))
    if config.backend == "slurm":
        from scalinglab.sweeps.launch.slurm import continued

        begun = continued(begun)
    store_launch(begun)
    stop = StopFlag()
    stop.install()
    try:
        if config.backend == "inline":
            from scalinglab.sweeps.launch.worker import Worker

            def should_stop() -> bool:
                on_tick()
                return stop()

            Worker(begun, "default", should_stop).work()
        elif config.backend == "local":
            Pool(begun, plan).run(stop, on_tick, lambda: _is_over(begun))
        else:
            _on_slurm(begun, stop, on_tick)
    finally:
        stop.uninstall()
        with contextlib.suppress(OSError):  # a full disk has been told of by then
            store_launch(begun, returned=True)
    return not stop.raised


def check_backend(config: LaunchConfig) -> None:
    """Raise `ConfigError` if a launch makes no sense, or its cluster would refuse it."""
    check_launch(config)
    if config.backend == "slurm":
        from scalinglab.sweeps.launch.slurm import check_cluster

        check_cluster(config)


def target_of(
    config: LaunchConfig,
    execution: ExecutionConfig,
    outputs: Path,
    tell: Callable[[str], None] = lambda text: None,
) -> Target:
    """Where the step times of a plan are measured.

    Parameters
    ----------
    tell : callable
        Told of what takes long.
    """
    if config.measure == "off":
        return nowhere()
    # A login node has no GPU: planning never needs the device of the runs.
    away = config.backend == "slurm" and execution.device != "cpu"
    if config.measure == "here" or (config.measure == "auto" and not away):
        return here(trained_elsewhere=config.backend == "slurm")
    from scalinglab.sweeps.launch.cluster_timing import target

    return target(config, outputs, tell)


@dataclass(frozen=True)
class Detached:
    """A launcher in the background.

    Attributes
    ----------
    pid : int
        Its process.
    log : Path
        What it says, after what earlier ones said.
    code : int or None
        Its exit code, if it ended before it could be left alone.
    tail : list of str
        The last lines of what it has said so far.
    """

    pid: int
    log: Path
    code: int | None
    tail: list[str]


def detach(arguments: list[str], outputs: Path, study: str) -> Detached:
    """Give a launch to a process of its own, which lives on; returns when its workers are begun.

    Parameters
    ----------
    arguments : list of str
        Of ``scaling launch``, without the detaching.
    """
    log = study_folder(outputs, study) / "launcher.log"
    with log.open("ab") as file:
        before = file.tell()
        process = subprocess.Popen(
            python_command("scalinglab.cli", "launch", *arguments, "launch.detach=false"),
            stdin=subprocess.DEVNULL,
            stdout=file,
            stderr=file,
            start_new_session=True,
            env=child_environment(),
        )
    deadline = time.monotonic() + DETACH_SECONDS
    try:
        while process.poll() is None and time.monotonic() < deadline:
            if launched_by(outputs, study, process.pid):
                break
            time.sleep(0.1)
    except KeyboardInterrupt:  # whoever stops us before it has begun wants no launch
        process.terminate()
        raise
    said = log.read_bytes()[before:].decode(errors="replace").splitlines()
    return Detached(process.pid, log, process.poll(), said[-DETACH_LINES:])


def what_is_left(begun: Launch, plan: StoredPlan) -> tuple[int, str | None]:
    """How many runs of a launch are still to be trained, and why it must not go on, if so."""
    mine = [r for r in plan.runs if r.folder.run_id in begun.classes]

    def gave_up(run: StoredRun) -> bool:
        return verdict(run.folder, begun.launched).when == Retry.NEVER

    current = states(plan.runs, gave_up)
    left = [r for r in mine if current[r.folder.run_id] in (*WAITING, State.RUNNING, State.BLOCKED)]
    why = tripped(mine, begun.launched, bool(begun.config.canary))
    return len(left), why or (overspent(begun, plan) if left else None)


def _is_over(begun: Launch) -> bool:
    """Whether no worker has anything more to do in a launch."""
    left, why = what_is_left(begun, begun.plan())
    return not left or why is not None


def why_stopped(outputs: Path, study: str) -> str | None:
    """Why the latest launch of a study must not go on; None if nothing speaks against it."""
    begun = read_launches(outputs, study)
    if not begun:
        return None
    if begun[-1].is_cancelled():
        return Outcome.CANCELLED
    return what_is_left(begun[-1], read_plan(outputs, study))[1]


def given_up(outputs: Path, study: str) -> dict[str, str]:
    """run_id -> why the latest launch of a study tries it no more."""
    begun = read_launches(outputs, study)
    if not begun:
        return {}
    open_runs = [
        r
        for r in read_plan(outputs, study).runs
        if r.folder.run_id in begun[-1].classes and not r.folder.done_file.exists()
    ]
    verdicts = {r.folder.run_id: verdict(r.folder, begun[-1].launched) for r in open_runs}
    return {run_id: found.why for run_id, found in verdicts.items() if found.when == Retry.NEVER}


def _on_slurm(begun: Launch, stop: Callable[[], bool], on_tick: Callable[[], None]) -> None:
    """Submit workers, and as long as somebody watches, replace those that are lost."""
    from scalinglab.sweeps.launch.slurm import submissions, top_up

    checks = 0
    while True:
        plan = begun.plan()
        left, why = what_is_left(begun, plan)
        if not left or why is not None or begun.is_cancelled():
            return
        if checks % CHECKS_A_SUBMISSION == 0:
            silent = top_up(begun, plan) is None
            if silent and checks == 0 and not submissions(begun):
                raise ConfigError("SLURM does not answer (squeue): nothing was submitted")
        checks += 1
        if not begun.config.watch:
            return
        time.sleep(begun.config.poll_seconds)
        on_tick()
        if stop():
            return
