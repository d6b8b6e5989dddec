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
from scalinglab.sweeps.store.launch_record import Launch, new_probe_launch, probed_run
from scalinglab.sweeps.store.probe_questions import ProbeQuestion, probe_folders


def launch_probes(
    outputs: Path,
    study: str,
    questions: Sequence[ProbeQuestion],
    config: LaunchConfig,
    execution: ExecutionConfig,
    on_tick: Callable[[], None] = lambda: None,
) -> bool:
    """Measure the missing results of stored questions; False if it was interrupted.

    Parameters
    ----------
    outputs, study
        Where the study lies.
    questions : sequence of ProbeQuestion
        Questions that are stored.
    config : LaunchConfig
        The backend.
    execution : ExecutionConfig
        How checkpoints are read.
    on_tick : callable
        Called while workers read.
    """
    paths = {folder.path for question in questions for folder in question.folders(outputs)}
    runs = [
        probed_run(folder)
        for folder in probe_folders(outputs, study)
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


def unanswered(outputs: Path, questions: Sequence[ProbeQuestion]) -> list[ProbeFolder]:
    """The folders of some questions that still lack a result."""
    return [f for question in questions for f in question.folders(outputs) if f.missing()]
