"""Read the checkpoints that a study's questions are about: here, on a pool, or on SLURM.

Like a launch of runs it may be killed at any moment and repeated: numbers that were found stay.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from scalinglab.scaling.config import ExecutionConfig
from scalinglab.scaling.probes.folder import ProbeFolder
from scalinglab.sweeps.config import LaunchConfig
from scalinglab.sweeps.launch.freeze import freeze
from scalinglab.sweeps.launch.launch import carry_out
from scalinglab.sweeps.launch.slurm import continued
from scalinglab.sweeps.store.asked import Ask, asked_folders
from scalinglab.sweeps.store.launch_record import Launch, new_probe_launch, probed_run


def launch_probes(
    outputs: Path,
    study: str,
    asks: Sequence[Ask],
    config: LaunchConfig,
    execution: ExecutionConfig,
    on_tick: Callable[[], None] = lambda: None,
) -> bool:
    """Find the numbers that stored questions of a study lack; False if it was interrupted.

    Parameters
    ----------
    outputs, study
        Where the study lies.
    asks : sequence of Ask
        Questions that are stored.
    config : LaunchConfig
        The backend.
    execution : ExecutionConfig
        How checkpoints are read.
    on_tick : callable
        Called while workers read.
    """
    paths = {folder.path for ask in asks for folder in ask.folders(outputs)}
    runs = [
        probed_run(folder)
        for folder in asked_folders(outputs, study)
        if folder.path in paths and folder.exists() and folder.missing()
    ]
    if not runs:
        return True
    launch_record: Launch = new_probe_launch(
        outputs, study, config, runs, freeze(outputs), execution
    )
    if config.backend == "slurm":
        launch_record = continued(launch_record)
    return carry_out(launch_record, launch_record.plan(), on_tick)


def unanswered(outputs: Path, asks: Sequence[Ask]) -> list[ProbeFolder]:
    """The parts of some questions that still lack a number."""
    return [f for ask in asks for f in ask.folders(outputs) if f.missing()]
